"""Writes the JPEG-LS streams beside it with CharLS (pyjpegls 1.5): one picture with flat parts, ramps and noise, by a formula that the
tests know, in several depths and losses. The name says bits and NEAR."""
import sys

import jpeg_ls
import numpy as np

folder = sys.argv[1]
rows, columns = 37, 53


def picture(bits):
    y, x = np.mgrid[0:rows, 0:columns].astype(np.int64)
    noise = (x * 7919 + y * 104729 + x * y * 31) % 97
    value = np.where(x < 20, 5, np.where(y < 12, x * 3 + y, noise))
    value = np.where((x > 40) & (y > 25), (1 << bits) - 1, value)
    return (value % (1 << bits)).astype(np.uint8 if bits <= 8 else np.uint16)


for bits, near in [(8, 0), (8, 2), (12, 0), (16, 0), (16, 3)]:
    image = picture(bits)
    stream = bytes(jpeg_ls.encode_array(image, lossy_error=near))
    again = jpeg_ls.decode(np.frombuffer(stream, np.uint8)).reshape(image.shape)
    assert np.abs(again.astype(int) - image.astype(int)).max() <= near
    with open(f"{folder}/{bits}-{near}.jls", "wb") as out:
        out.write(stream)
    again.astype("<u2").tofile(f"/tmp/jls/{bits}-{near}.expected")
    print(bits, near, len(stream), int(again.astype(np.int64).sum()))
