"""Variational autoencoder on the digits, scored by the share of held-out variance that it rebuilds."""

import argparse
import json

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.utils.data import DataLoader, random_split


class VAE(nn.Module):
    def __init__(self, n_pixels=64, n_hidden=96, n_latent=10):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_pixels, n_hidden), nn.ELU(), nn.Linear(n_hidden, 2 * n_latent)
        )
        self.decoder = nn.Sequential(nn.Linear(n_latent, n_hidden), nn.ELU(), nn.Linear(n_hidden, n_pixels))

    def encode(self, x):
        mean, log_std = self.encoder(x).chunk(2, dim=1)
        return Normal(mean, log_std.clamp(-6, 3).exp())

    def decode(self, z):
        return torch.sigmoid(self.decoder(z))


def negative_elbo(vae, x, noise=0.15):
    posterior = vae.encode(x)
    z = posterior.rsample()
    rebuilt = vae.decode(z)
    reconstruction = ((rebuilt - x) ** 2).sum(dim=1).mean() / (2 * noise**2)
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=1).mean()
    return reconstruction + kl, reconstruction, kl


def explained_variance(vae, x, centre):
    with torch.no_grad():
        rebuilt = vae.decode(vae.encode(x).mean)
    return 1.0 - (((x - rebuilt) ** 2).sum() / ((x - centre) ** 2).sum()).item()


def main(seed, epochs):
    torch.manual_seed(seed)
    pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
    train_part, test_part = random_split(pixels, [1347, 450])
    train_pixels = pixels[train_part.indices]
    test_pixels = pixels[test_part.indices]
    loader = DataLoader(train_pixels, batch_size=64, shuffle=True)

    vae = VAE()
    adam = torch.optim.Adam(
        [{"params": vae.encoder.parameters()}, {"params": vae.decoder.parameters()}], lr=2e-3
    )
    centre = train_pixels.mean(dim=0)

    for epoch in range(1, epochs + 1):
        vae.train()
        sums = torch.zeros(3)
        for x in loader:
            adam.zero_grad()
            loss, reconstruction, kl = negative_elbo(vae, x)
            loss.backward()
            adam.step()
            sums += torch.stack([loss, reconstruction, kl]).detach() * len(x)
        vae.eval()
        if epoch % 5 == 0:
            loss, reconstruction, kl = (sums / len(train_pixels)).tolist()
            share = explained_variance(vae, test_pixels, centre)
            print(f"{epoch}\tloss {loss:.3f}\trec {reconstruction:.3f}\tkl {kl:.3f}\tshare {share:.4f}")

    return explained_variance(vae, test_pixels, centre)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps({"score": main(options.seed, options.epochs)}))
