"""Milliseconds of a slice in onnxruntime: the exported network on the processor, softmax and attention included.

Needs onnxruntime and numpy. Called by `cargo xtask bench`, which installs them into the target folder:

    python onnxruntime_slices.py MODEL.onnx COLUMNS ROWS SLICES THREADS

Prints the median and the best of so many slices, after three that are not timed.
"""

import statistics
import sys
import time

import numpy
import onnxruntime


def main():
    model, columns, rows, slices, threads = sys.argv[1], *map(int, sys.argv[2:6])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    stack = session.get_inputs()[0].shape[1]
    image = numpy.random.default_rng(1).random((1, stack, rows, columns), dtype=numpy.float32)
    milliseconds = []
    for n in range(slices + 3):
        clock = time.perf_counter()
        session.run(None, {"image": image})
        if n >= 3:
            milliseconds.append((time.perf_counter() - clock) * 1e3)
    print(f"{statistics.median(milliseconds):.2f} {min(milliseconds):.2f}")


main()
