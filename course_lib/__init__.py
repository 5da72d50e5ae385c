"""Safety Wheels: image editing with optimisation, then on the natural image manifold.

In reading order, each module uses only the ones before it:

- vocabulary: `shapes`, `results`, `checks`, `caching`, `thrift`,
  `writing`
- what comes in: `pixels`, `images`, `weights`
- classical methods, and their tools: `gradients`, `solvers` · `smoothing`, `blending`, `warping`,
  `energies`
- the manifold: `denoising`, `generators`
- what "close" means, and what a picture shows: `lite0`, `losses`, `encoders`, `classifiers`
- photos onto it: `descent`, `projection`, `classes`, `familiarity`, `realism`, `tuning`; and a
  network that has learnt nothing, `deep_prior`
- edits on it: `guidance`, `sdedit`, `text`, `transfer`, `framing`, `directions`, `parts`,
  `sessions`
- what is measured and shown: `metrics`, `plotting`, `diagrams`, `feedback`, `widgets`
- lessons on a projector: `present`
- how the weights were made: `training`
"""

__version__ = "0.1.0"
