"""How the shipped weights were made, one command each: python -m course_lib.training --help.

In reading order: `data` (pictures in), `augment`, `objective` (the game of generator and
discriminator), `stylegan2` and `dcgan` (the two players and their recipes), `polish` (StyleGAN2
against DCGAN's discriminator), `loop` (steps, log, sheets, checkpoints), `export` (weights and
card out).
"""
