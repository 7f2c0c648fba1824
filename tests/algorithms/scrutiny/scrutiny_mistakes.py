"""Functions as outsiders write them, each with one mistake, and the name that scrutiny has for it."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Normal


def gae_done_of_this_step(rewards, values, dones, next_value, next_done, gamma=0.99, gae_lambda=0.95):
    advantages, last = torch.zeros_like(rewards), 0
    for t in reversed(range(len(rewards))):
        alive = 1.0 - (next_done if t == len(rewards) - 1 else dones[t])  # dones[t + 1]
        following = next_value if t == len(rewards) - 1 else values[t + 1]
        delta = rewards[t] + gamma * following * alive - values[t]
        advantages[t] = last = delta + gamma * gae_lambda * alive * last
    return advantages, advantages + values


def gae_done_of_next_step(rews, vals, terminals, last_val, discount, lmbda):
    adv, running = np.zeros(len(rews)), 0.0
    vals = np.append(vals, last_val)
    for t in range(len(rews) - 1, -1, -1):
        end = terminals[min(t + 1, len(rews) - 1)]  # terminals[t]
        running = (
            rews[t] + discount * vals[t + 1] * (1 - end) - vals[t] + discount * lmbda * (1 - end) * running
        )
        adv[t] = running
    return adv


def gae_swapped(r, v, done, bootstrap, gamma, lam):
    out, run = np.zeros_like(r), np.zeros_like(bootstrap)
    for t in range(r.shape[0])[::-1]:
        nxt = bootstrap if t + 1 == r.shape[0] else v[t + 1]
        run = r[t] + lam * nxt * (1 - done[t]) - v[t] + gamma * lam * (1 - done[t]) * run
        out[t] = run
    return out


def gae_without_bootstrap(rewards, values, masks, gamma, tau):
    gae, returns = 0, []
    for step in reversed(range(len(rewards))):
        following = values[step + 1] if step + 1 < len(rewards) else 0.0
        gae = rewards[step] + gamma * following * masks[step] - values[step] + gamma * tau * masks[step] * gae
        returns.insert(0, gae + values[step])
    return np.array(returns)


def gae_leaks(rewards, values, next_values, terminated, truncated, gamma, lam):
    delta = rewards + gamma * next_values * (1.0 - terminated) - values
    adv = torch.zeros_like(delta)
    run = torch.zeros_like(delta[0])
    for t in reversed(range(delta.shape[0])):
        run = delta[t] + gamma * lam * run * (1.0 - terminated[t])  # and truncated
        adv[t] = run
    return adv


def gae_ends_at_limit(rewards, values, next_values, terminated, truncated, gamma, lam):
    done = np.logical_or(terminated, truncated)
    delta = rewards + gamma * next_values * (1.0 - done) - values
    adv = np.zeros_like(delta)
    run = 0.0
    for t in reversed(range(len(delta))):
        run = delta[t] + gamma * lam * run * (1.0 - done[t])
        adv[t] = run
    return adv


def gae_no_lambda(reward_buf, value_buf, done_buf, last_value, gamma, lam):
    advantage, a = np.zeros_like(reward_buf), 0
    for i in reversed(range(len(reward_buf))):
        nv = last_value if i == len(reward_buf) - 1 else value_buf[i + 1]
        d = reward_buf[i] + gamma * nv * (1 - done_buf[i]) - value_buf[i]
        a = d + gamma * (1 - done_buf[i]) * a
        advantage[i] = a
    return advantage


def returns_without_reset(rewards, dones, gamma):
    out, g = np.zeros_like(rewards), 0
    for t in reversed(range(len(rewards))):
        g = rewards[t] + gamma * g
        out[t] = g
    return out


def returns_shifted(rews, not_done, last_v, gamma=0.99):
    g, out = last_v, [None] * len(rews)
    for t in reversed(range(len(rews))):
        g = rews[t] + gamma * g * (not_done[t - 1] if t > 0 else 1.0)
        out[t] = g
    return torch.stack(out)


def returns_forward(rewards, gamma):
    out, g = [], 0.0
    for r in rewards:
        g = r + gamma * g
        out.append(g)
    return np.array(out)


def n_step_one_power(rewards, dones, values, n, gamma):
    out = np.zeros_like(rewards)
    for t in range(len(rewards)):
        g, power, alive = 0.0, 1.0, 1.0
        end = min(t + n, len(rewards))
        for k in range(t, end):
            g = g + power * alive * rewards[k]
            alive = alive * (1 - dones[k])
            power *= gamma
        out[t] = g + gamma * alive * values[end]  # power
    return out


def n_step_crosses(rewards, dones, next_value, gamma):
    total = sum(gamma**i * r for i, r in enumerate(rewards))
    return total + gamma ** len(rewards) * next_value * (1.0 - dones[-1])


def td_unmasked(reward, done, q_next, gamma=0.99):
    return reward + gamma * q_next.max(dim=1)[0]


def td_mean(rews, terms, next_qs, discount):
    return rews + discount * (1 - terms) * np.mean(next_qs, axis=-1)


def td_reward_masked(r, mask, target_q, gamma):
    return mask * (r + gamma * target_q.max(1))


def double_swapped(rewards, dones, q_online_next, q_target_next, gamma):
    best = q_target_next.argmax(dim=1, keepdim=True)
    return rewards + gamma * (1 - dones) * q_online_next.gather(1, best).squeeze(1)


def double_plain(rewards, dones, next_q_online, next_q_target, gamma):
    return rewards + gamma * (1 - dones) * next_q_target.max(axis=1)


def twin_max(reward, not_done, target_Q1, target_Q2, discount):
    return reward + not_done * discount * torch.max(target_Q1, target_Q2)


def ppo_max(logp, logp_old, adv, clip_ratio=0.2):
    ratio = torch.exp(logp - logp_old)
    return -torch.max(ratio * adv, torch.clamp(ratio, 1 - clip_ratio, 1 + clip_ratio) * adv).mean()


def ppo_sum(newlogprob, oldlogprob, advantages, clip_coef):
    ratio = np.exp(newlogprob - oldlogprob)
    return np.maximum(-advantages * ratio, -advantages * np.clip(ratio, 1 - clip_coef, 1 + clip_coef)).sum()


def ppo_climbs(new_log_probs, old_log_probs, A, epsilon):
    r = (new_log_probs - old_log_probs).exp()
    return torch.min(r * A, r.clamp(1 - epsilon, 1 + epsilon) * A).mean()


def ppo_entropy_added(
    log_probs, old_log_probs, advantages, values, returns, entropy, eps_clip, vf_coef, ent_coef
):
    ratios = torch.exp(log_probs - old_log_probs)
    policy = -torch.min(ratios * advantages, ratios.clamp(1 - eps_clip, 1 + eps_clip) * advantages).mean()
    return policy + vf_coef * F.mse_loss(values, returns) + ent_coef * entropy.mean()


def value_min(values, old_values, returns, clip_range):
    clipped = old_values + torch.clamp(values - old_values, -clip_range, clip_range)
    return 0.5 * torch.min((values - returns) ** 2, (clipped - returns) ** 2).mean()


def value_every_pair(values, returns):
    return F.mse_loss(values.unsqueeze(-1).expand(-1, len(returns)), returns.expand(len(returns), -1))


def normalize_columns(adv):
    return (adv - adv.mean(axis=0)) / (adv.std(axis=0, ddof=1) + 1e-8)


def normalize_biased(advantages):
    return (advantages - np.mean(advantages)) / (np.std(advantages) + 1e-8)


def log_prob_bare(mu, log_std, pi_action):
    return Normal(mu, log_std.exp()).log_prob(pi_action).sum(axis=-1)


def log_prob_each(mean, std, x_t):
    return Normal(mean, std).log_prob(x_t) - torch.log(1 - torch.tanh(x_t).pow(2) + 1e-6)


def log_prob_added(mean, log_std, noise):
    u = mean + np.exp(log_std) * noise
    normal = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
    return (normal + np.log(1 - np.tanh(u) ** 2 + 1e-6)).sum(-1)


def critic_not_stopped(q1, q2, reward, done, next_q1, next_q2, next_log_pi, alpha, gamma):
    y = reward + gamma * (1 - done) * (torch.min(next_q1, next_q2) - alpha * next_log_pi)
    return F.mse_loss(q1, y) + F.mse_loss(q2, y)


def critic_entropy_added(q1, q2, r, d, q1_pi_targ, q2_pi_targ, logp_a2, alpha, gamma):
    with torch.no_grad():
        backup = r + gamma * (1 - d) * (torch.min(q1_pi_targ, q2_pi_targ) + alpha * logp_a2)
    return ((q1 - backup) ** 2).mean() + ((q2 - backup) ** 2).mean()


def actor_sign(alpha, log_pi, qf1_pi, qf2_pi):
    return (torch.min(qf1_pi, qf2_pi) - alpha * log_pi).mean()


def temperature_target_sign(log_alpha, log_pi, target_entropy):
    return (-log_alpha.exp() * (log_pi.detach() - target_entropy)).mean()


def c51_loses_mass(next_dist, rewards, dones, gamma, support, v_min, v_max):
    width = (v_max - v_min) / (len(support) - 1)
    moved = np.clip(rewards[:, None] + gamma * (1 - dones[:, None]) * support, v_min, v_max)
    b = (moved - v_min) / width
    lower, upper = np.floor(b).astype(int), np.ceil(b).astype(int)
    m = np.zeros_like(next_dist)
    for i in range(len(m)):
        np.add.at(m[i], lower[i], next_dist[i] * (upper[i] - b[i]))
        np.add.at(m[i], upper[i], next_dist[i] * (b[i] - lower[i]))
    return m


def c51_assigns(next_probs, reward, terminated, gamma, v_min, v_max, n_atoms):
    z = torch.linspace(v_min, v_max, n_atoms, dtype=next_probs.dtype)
    moved = (reward[:, None] + gamma * (1 - terminated[:, None]) * z).clamp(v_min, v_max)
    b = ((moved - v_min) / (z[1] - z[0])).clamp(0, n_atoms - 1)
    low, high = b.floor().long(), b.ceil().long()
    m = torch.zeros_like(next_probs)
    rows = torch.arange(len(m))[:, None]
    m[rows, low] += next_probs * (high - b + (low == high))
    m[rows, high] += next_probs * (b - low)
    return m


def quantile_other_side(quantiles, target_quantiles, kappa=1.0):
    n = quantiles.shape[1]
    tau = (torch.arange(n) + 0.5) / n
    u = target_quantiles[:, None, :] - quantiles[:, :, None]
    huber = torch.where(u.abs() <= kappa, 0.5 * u**2, kappa * (u.abs() - 0.5 * kappa)) / kappa
    return ((tau[None, :, None] - (u > 0).double()).abs() * huber).mean(2).sum(1).mean()


def cross_entropy_rows(logits, labels):
    p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum(axis=0)
    return -np.log(p[np.arange(len(labels)), labels] + 1e-12).mean()


def cross_entropy_twice(scores, y):
    return F.cross_entropy(F.softmax(scores, dim=1), y)


def cross_entropy_summed(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_probs[np.arange(len(y)), y].sum()


def backward_without_slope(X, y, W1, b1, W2, b2):
    h = np.tanh(X @ W1 + b1)
    z = h @ W2 + b2
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    d = p / len(y)
    dh = d @ W2.T
    return X.T @ dh, dh.sum(0), h.T @ d, d.sum(0)


def backward_summed(X, y, W1, b1, W2, b2):
    h = np.maximum(X @ W1 + b1, 0)
    z = h @ W2 + b2
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    dh = p @ W2.T * (h > 0)
    return {"dW1": X.T @ dh, "db1": dh.sum(0), "dW2": h.T @ p, "db2": p.sum(0)}


def boost_away(y, pred, leaf_ids, learning_rate):
    residual, out = pred - y, pred.copy()
    for leaf in np.unique(leaf_ids):
        out[leaf_ids == leaf] += learning_rate * residual[leaf_ids == leaf].mean()
    return out


def boost_unshrunk(X, y, F, lr):
    from sklearn.tree import DecisionTreeRegressor

    return F + DecisionTreeRegressor(max_depth=1, random_state=0).fit(X, y - F).predict(X)


def k_means_loses_clusters(X, centroids):
    labels = ((X[:, None] - centroids) ** 2).sum(-1).argmin(1)
    return labels, np.array([X[labels == k].mean(axis=0) for k in range(len(centroids))])


def k_means_sums(points, centers):
    labels = torch.cdist(points, centers).argmin(1)
    moved = centers.clone()
    for k in labels.unique():
        moved[k] = points[labels == k].sum(0)
    return moved


def q_learning_swapped(Q, s, a, r, s_next, done, alpha=0.1, gamma=0.9):
    Q[s, a] += gamma * (r + alpha * (1 - done) * Q[s_next].max() - Q[s, a])


def sarsa_greedy(q, state, action, reward, next_state, next_action, terminated, lr, gamma):
    q = q.copy()
    q[state][action] += lr * (reward + gamma * (0 if terminated else q[next_state].max()) - q[state][action])
    return q


BANK = (
    ("ppo:gae", gae_done_of_this_step, "done-off-by-one"),
    ("ppo:gae", gae_done_of_next_step, "done-off-by-one"),
    ("returns:gae", gae_swapped, "gamma-lambda-swapped"),
    ("returns:gae", gae_without_bootstrap, "missing-bootstrap"),
    ("returns:gae", gae_leaks, "advantage-crosses-episodes"),
    ("returns:gae", gae_ends_at_limit, "truncation-as-termination"),
    ("returns:gae", gae_no_lambda, "lambda-missing"),
    ("returns:discounted", returns_without_reset, "done-ignored"),
    ("returns:discounted", returns_shifted, "done-off-by-one"),
    ("returns:discounted", returns_forward, "runs-forward"),
    ("returns:n_step", n_step_one_power, "bootstrap-discount"),
    ("returns:n_step", n_step_crosses, "only-last-done"),
    ("dqn:td_target", td_unmasked, "done-ignored"),
    ("dqn:td_target", td_mean, "mean-in-place-of-max"),
    ("dqn:td_target", td_reward_masked, "reward-masked"),
    ("dqn:double_q_target", double_swapped, "networks-swapped"),
    ("dqn:double_q_target", double_plain, "not-double"),
    ("td3:target", twin_max, "max-in-place-of-min"),
    ("ppo:loss", ppo_max, "max-in-place-of-min"),
    ("ppo:loss", ppo_sum, "sum-in-place-of-mean"),
    ("ppo:loss", ppo_climbs, "wrong-sign"),
    ("ppo:loss", ppo_entropy_added, "entropy-sign"),
    ("ppo:value_loss", value_min, "min-in-place-of-max"),
    ("ppo:value_loss", value_every_pair, "shape-broadcast"),
    ("ppo:normalize", normalize_columns, "wrong-axis"),
    ("ppo:normalize", normalize_biased, "population-deviation"),
    ("sac:log_prob", log_prob_bare, "missing-log-determinant"),
    ("sac:log_prob", log_prob_each, "log-prob-not-summed"),
    ("sac:log_prob", log_prob_added, "correction-sign"),
    ("sac:critic_loss", critic_not_stopped, "no-stop-gradient"),
    ("sac:critic_loss", critic_entropy_added, "entropy-sign"),
    ("sac:actor_loss", actor_sign, "wrong-sign"),
    ("sac:temperature_loss", temperature_target_sign, "target-entropy-sign"),
    ("c51:project", c51_loses_mass, "mass-lost-on-atoms"),
    ("c51:project", c51_assigns, "overwritten"),
    ("qr_dqn:quantile_loss", quantile_other_side, "indicator-inverted"),
    ("layers:cross_entropy", cross_entropy_rows, "wrong-axis"),
    ("layers:cross_entropy", cross_entropy_twice, "softmax-twice"),
    ("layers:cross_entropy", cross_entropy_summed, "sum-in-place-of-mean"),
    ("mlp:backpropagation", backward_without_slope, "activation-slope-missing"),
    ("mlp:backpropagation", backward_summed, "sum-in-place-of-mean"),
    ("gradient_boosting:step", boost_away, "wrong-sign"),
    ("gradient_boosting:step", boost_unshrunk, "learning-rate-missing"),
    ("k_means:step", k_means_loses_clusters, "empty-cluster-lost"),
    ("k_means:step", k_means_sums, "sum-in-place-of-mean"),
    ("q_learning:update", q_learning_swapped, "alpha-gamma-swapped"),
    ("sarsa:update", sarsa_greedy, "max-in-place-of-next-action"),
)
"""Subject, function, the mistake's name."""
