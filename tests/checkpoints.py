"""Small checkpoints that tests run, with weights that are the same every time."""


def small_checkpoint(folder, labels=("red", "green", "blue"), **more):
    """Write a network of a few classes with fixed random weights; returns its path."""
    import torch
    from torchvision import models

    path = folder / "small.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = models.squeezenet1_1(num_classes=len(labels))
    payload = {"vidcam": 1, "arch": "squeezenet1_1", "labels": list(labels), "size": 64}
    torch.save(payload | {"state_dict": net.state_dict()} | more, path)
    return path
