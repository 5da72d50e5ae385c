"""How the shipped weights were made, one command each: python -m course_lib.training --help.

In reading order: `data` (pictures in), `augment`, `base` (recipe and run: what all share);
`descent` (one network goes down a loss) with `encoder`, `classifier` and its `questions`, `vae`,
`flow` (RealNVP and Glow) and `vqvae` (and the prior of its words);
`objective` and `adversarial` (the game of generator and discriminator) with `dcgan`, `stylegan2`,
`polish` (StyleGAN2 against DCGAN's discriminator) and `projected_gan` (against frozen features);
`families` (all of them by name), `loop` (steps, log, sheets, checkpoints), `measuring` and
`export` (weights and card out).

A new family is a class on `DescentTraining` or `AdversarialTraining` that brings a recipe, a
network and a loss, and a line in `families`.
"""
