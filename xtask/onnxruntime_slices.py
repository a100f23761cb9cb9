"""Milliseconds of a slice in onnxruntime: the exported network on the processor, softmax and attention included.

Needs onnxruntime and numpy. Called by `cargo xtask bench`, which installs them into the target folder:

    python onnxruntime_slices.py MODEL.onnx SIDE SLICES

Prints the median and the best of so many slices, after three that are not timed.
"""

import os
import statistics
import sys
import time

import numpy
import onnxruntime


def main():
    model, side, slices = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    # As many threads as this process may use: what the other side of the comparison takes, too.
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    stack = session.get_inputs()[0].shape[1]
    image = numpy.random.default_rng(1).random((1, stack, side, side), dtype=numpy.float32)
    milliseconds = []
    for n in range(slices + 3):
        clock = time.perf_counter()
        session.run(None, {"image": image})
        if n >= 3:
            milliseconds.append((time.perf_counter() - clock) * 1e3)
    print(f"{statistics.median(milliseconds):.2f} {min(milliseconds):.2f}")


main()
