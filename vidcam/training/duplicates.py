"""Pictures that are the same, to the byte or to the eye.

A picture is described by its lowest spatial frequencies: the 12x12 first coefficients of the
cosine transform of its 32x32 grey thumbnail, without the mean, each by the root of its size and
its sign, as a vector of length 1. That is the perceptual hash of Zauner (2010, "Implementation and
Benchmarking of Perceptual Image Hash Functions") before it is cut to bits.

Why (21 November 2026; 100 ImageNet photographs and 15 changed copies of each, bench/duplicates.py):
at distance 0.25 all copies are found that were made smaller (to 64 px), mirrored or turned by 2
degrees, or lost 3 or 5 % of their sides, 98 % of JPEG 10, 96 % of brighter ones, 66 % of those that
lost 10 %; at 20 % one is. Of 1,267,200 pairs of different photographs none is nearer than 0.48. In
an earlier run with other changes none was nearer than 0.35, and ImageHash's 64 bits, at 10 of 64,
found 88 to 94 % of what lost 3 and 5 %, and 52 % at 10 %.

Things that merely resemble each other (digits, say) are no copies, but each is near some other,
and so link by link all hang together: 1666 of scikit-learn's 1797 digits. What tells them is how
fast the links grow with the distance (Grassberger and Procaccia 1983, "Measuring the Strangeness of
Strange Attractors"): from 0.125 to 0.25 by 4 to 40 times among digits, by 1.6 at most among copies
of a photograph, by 1 to 3.8 among the frames of films, which belong together. Such a group is
divided at half the distance; of the digits 500 are then tied, 12 at most together.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

THUMBNAIL_PX = 32
FREQUENCIES = 12
# 1 minus the cosine of two descriptions.
DISTANCE = 0.25
# A group of CROWD or more with more than GROWTH times as many links as at half the distance is
# divided there, and so on down.
LEVELS = tuple(DISTANCE / 2**n for n in range(5))
CROWD, GROWTH = 10, 5
# Cb and Cr are compared on a grid of this many cells a side. They may differ by this share of how
# colourful the pictures are, or by so many levels.
COLOUR_CELLS = 8
COLOUR_SHARE, COLOUR_LEVELS = 0.5, 2.0
# Below this deviation, in levels, a thumbnail shows nothing that could be recognised.
FLAT_LEVELS = 1.0
BLOCK = 1024

Vectors = NDArray[np.float32]
Thumbnails = NDArray[np.uint8]


def digest(data: bytes) -> bytes:
    """The content hash of a file."""
    return hashlib.blake2b(data, digest_size=16).digest()


def thumbnail(picture: Image.Image) -> Thumbnails:
    """(32, 32, 3) uint8 YCbCr of an RGB picture, squeezed into the square."""
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(small.convert("YCbCr"))


def exact_groups(digests: Sequence[bytes]) -> list[list[int]]:
    """The indices of equal digests, two or more each, in order."""
    groups: dict[bytes, list[int]] = {}
    for index, one in enumerate(digests):
        groups.setdefault(one, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_groups(thumbnails: Thumbnails) -> list[list[int]]:
    """The indices of pictures that look alike, mirrored ones too, two or more a group, in order.

    `thumbnails` is (N, 32, 32, 3). Groups are closed: what is like one of a group is in it, save
    that a large group of things that merely resemble each other falls apart (see the head). Time
    grows with N squared: about a second for 10,000.
    """
    count = len(thumbnails)
    if count < 2:
        return []
    vectors, mirrored = describe(thumbnails)
    colours = _colours(thumbnails)
    # Row by row the same at ever smaller distances: groups by their first members, and how many
    # links each picture has with later ones.
    labels = np.tile(np.arange(count), (len(LEVELS), 1))
    links = np.zeros((len(LEVELS) + 1, count), np.int64)
    for start in range(0, count, BLOCK):
        rows, columns, distances = _alike(vectors, mirrored, colours, start)
        # Joining block by block keeps the memory small where thousands are alike.
        for level, most in enumerate(LEVELS):
            near = distances <= most
            rows, columns, distances = rows[near], columns[near], distances[near]
            links[level] += np.bincount(rows, minlength=count)
            labels[level] = _joined(labels[level], rows, columns)
    return sorted(_kept(np.arange(count), labels, links))


def _joined(
    labels: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Components, each named by its first member, with more links."""
    every = np.arange(len(labels))
    ends = (np.append(rows, every), np.append(columns, labels))
    graph = coo_array((np.ones(len(ends[0]), bool), ends), (len(labels), len(labels)))
    components = connected_components(graph, directed=False)[1]
    _, first, of = np.unique(components, return_index=True, return_inverse=True)
    return np.asarray(first[of])


def _kept(
    members: NDArray[np.intp], labels: NDArray[np.intp], links: NDArray[np.int64]
) -> Iterator[list[int]]:
    """The groups among members of one group, at the first distance of the rest or below it."""
    own = labels[0, members]
    order = np.argsort(own, kind="stable")
    for group in np.split(members[order], np.flatnonzero(np.diff(own[order])) + 1):
        if len(group) < 2:
            continue
        near, nearer = links[0, group].sum(), links[1, group].sum()
        if len(labels) > 1 and len(group) >= CROWD and near > GROWTH * (nearer + 1):
            yield from _kept(group, labels[1:], links[1:])
        else:
            yield group.tolist()


def describe(thumbnails: Thumbnails) -> tuple[Vectors, Vectors]:
    """(N, 143) float32 descriptions of thumbnails, and those of their mirror images.

    A thumbnail that shows nothing has a description of zeros, which is like no other.
    """
    grey = thumbnails[..., 0].astype(np.float32)
    waves = dctn(grey, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    waves[grey.std(axis=(1, 2)) < FLAT_LEVELS] = 0
    turned = waves.copy()
    turned[:, :, 1::2] *= -1  # the odd waves change sign in a mirror
    return _normalised(waves), _normalised(turned)


def _normalised(waves: NDArray[np.float32]) -> Vectors:
    flat = waves.reshape(len(waves), -1)[:, 1:]
    roots = np.sign(flat) * np.sqrt(np.abs(flat))
    lengths = np.linalg.norm(roots, axis=1, keepdims=True)
    return np.asarray(roots / np.maximum(lengths, 1e-9), np.float32)


def _colours(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """(N, 8, 8, 2) mean Cb and Cr."""
    cell = THUMBNAIL_PX // COLOUR_CELLS
    cells = thumbnails[..., 1:].reshape(-1, COLOUR_CELLS, cell, COLOUR_CELLS, cell, 2)
    return np.asarray(cells.mean(axis=(2, 4), dtype=np.float32))


def _alike(
    vectors: Vectors, mirrored: Vectors, colours: NDArray[np.float32], start: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], Vectors]:
    """The pairs of a block of rows with itself and all that follow, and how far they are apart."""
    block, rest = vectors[start : start + BLOCK], slice(start, None)
    found = []
    for others, flip in ((vectors[rest], False), (mirrored[rest], True)):
        likeness = block @ others.T
        rows, columns = np.nonzero(np.triu(likeness, 1) >= 1 - DISTANCE)
        distances = 1 - likeness[rows, columns]
        rows, columns = rows + start, columns + start
        keep = _same_colours(colours, rows, columns, flip)
        found.append((rows[keep], columns[keep], distances[keep]))
    rows, columns, distances = (np.concatenate(each) for each in zip(*found, strict=True))
    return rows, columns, distances


def _same_colours(
    colours: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp], flip: bool
) -> NDArray[np.bool_]:
    """Which pairs have like colours: a red disc is no copy of a blue one."""
    same = np.zeros(len(rows), bool)
    strong = np.abs(colours - 128).mean(axis=(1, 2, 3))
    for start in range(0, len(rows), 10 * BLOCK):
        part = slice(start, start + 10 * BLOCK)
        one, other = colours[rows[part]], colours[columns[part]]
        other = other[:, :, ::-1] if flip else other
        apart = np.abs(one - other).mean(axis=(1, 2, 3))
        limit = COLOUR_SHARE * (strong[rows[part]] + strong[columns[part]]) / 2
        same[part] = apart <= np.maximum(COLOUR_LEVELS, limit)
    return same
