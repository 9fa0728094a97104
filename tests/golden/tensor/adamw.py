"""Five steps of torch.optim.AdamW, for test_kernels.c. Written with torch 2.13.0: python adamw.py > adamw.inc"""
import torch

w = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
grads = [[0.5, -1.0, 1e-4], [0.25, 2.0, 0.0], [-1.0, 0.125, -1e-4], [3.0, -0.5, 0.0], [0.0, 0.0, 2.0]]
optimizer = torch.optim.AdamW([w], lr=0.1, weight_decay=0.1)
for g in grads:
    w.grad = torch.tensor(g)
    optimizer.step()
    print("{" + ", ".join(f"{x:.9g}" for x in w.tolist()) + "},")
