"""A generative adversarial network learns eight Gaussians on a ring."""

import argparse
import json

import torch
from torch import nn, optim

LATENT = 8
BATCH = 128


def real_samples(n):
    angle = torch.randint(0, 8, (n,)) * (2 * torch.pi / 8)
    centres = torch.stack([angle.cos(), angle.sin()], dim=1)
    return centres + 0.08 * torch.randn(n, 2)


def mlp(n_in, n_out, width=48):
    return nn.Sequential(
        nn.Linear(n_in, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, n_out),
    )


@torch.no_grad()
def sliced_distance(generator, n=2000, directions=64):
    """Mean Wasserstein distance between made and real points over random directions."""
    made, real = generator(torch.randn(n, LATENT)), real_samples(n)
    angle = torch.linspace(0, torch.pi, directions)
    axes = torch.stack([angle.cos(), angle.sin()])
    return ((made @ axes).sort(dim=0).values - (real @ axes).sort(dim=0).values).abs().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1600)
    opt = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(opt.seed)

    netG = mlp(LATENT, 2)
    netD = mlp(2, 1)
    optimizerG = optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.9))
    optimizerD = optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.9))
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)

    distances = []
    for it in range(1, opt.steps + 1):
        # Discriminator: log D(x) + log(1 - D(G(z)))
        netD.zero_grad()
        errD_real = criterion(netD(real_samples(BATCH)).view(-1), ones)
        fake = netG(torch.randn(BATCH, LATENT))
        errD_fake = criterion(netD(fake.detach()).view(-1), zeros)
        errD = errD_real + errD_fake
        errD.backward()
        optimizerD.step()

        # Generator: log D(G(z))
        netG.zero_grad()
        errG = criterion(netD(fake).view(-1), ones)
        errG.backward()
        optimizerG.step()

        if it % 100 == 0:
            distances.append(sliced_distance(netG))
            if it % 500 == 0:
                losses = f"Loss_D {errD.item():.4f} Loss_G {errG.item():.4f}"
                print(f"[{it}/{opt.steps}] {losses} SW {distances[-1]:.4f}")

    recent = distances[-5:]
    print(json.dumps({"score": -sum(recent) / len(recent)}))


if __name__ == "__main__":
    main()
