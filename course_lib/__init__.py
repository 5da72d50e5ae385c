"""Safety Wheels: image editing with optimisation, then on the natural image manifold.

In reading order, each module uses only the ones before it:
`shapes`, `results`, `checks` (vocabulary) · `images`, `weights` (what comes in) ·
`gradients`, `solvers` (tools) · `smoothing`, `blending`, `warping` (methods) ·
`generators` (the manifold) · `losses`, `encoders`, `projection`, `tuning` (photos onto it) ·
`guidance`, `directions` (edits on it) · `metrics`, `plotting`, `widgets` (what is measured and
shown) · `training` (how the weights were made).
"""

__version__ = "0.1.0"
