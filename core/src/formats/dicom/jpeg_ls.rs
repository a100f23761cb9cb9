//! JPEG-LS (ISO/IEC 14495-1, the syntaxes 1.2.840.10008.1.2.4.80 and .81) as CT uses it: one component, lossless or near-lossless, up to 16
//! bits. dicom-rs decodes it in C++ only, which no browser runs, and no kept crate does in Rust alone; this reads what a grey-scale
//! slice needs and no more: no mapping tables, no restart intervals, no point transform. Clauses of annex A are named where they are.

use super::jpeg_markers::{self, be16};

/// J of clause A.7.1.1: how long runs are, as powers of two.
const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Contexts of single pixels (A.3.4), and behind them the two of interrupted runs.
const CONTEXTS: usize = 365;

/// Whether the syntax is JPEG-LS.
pub(super) fn is_jpeg_ls(syntax: &str) -> bool {
    matches!(syntax, "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81")
}

/// What a stream says of itself (C.2.2), and where its pixels begin.
struct Frame {
    bits: u32,
    rows: usize,
    columns: usize,
    components: usize,
    /// MAXVAL, T1, T2, T3 and RESET; 0 for those of A.1 and C.2.4.1.1.
    preset: [i32; 5],
    near: i32,
    pixels: usize,
}

/// Size, components and bits of a sample; `None` where the stream has no whole header.
pub(super) fn size(stream: &[u8]) -> Option<([usize; 2], usize, u32)> {
    let frame = header(stream).ok()?;
    Some(([frame.columns, frame.rows], frame.components, frame.bits))
}

fn header(stream: &[u8]) -> Result<Frame, String> {
    let damaged = || "their JPEG-LS stream is damaged".to_owned();
    if !stream.starts_with(&[0xFF, 0xD8]) {
        return Err(damaged());
    }
    let mut frame = Frame { bits: 0, rows: 0, columns: 0, components: 0, preset: [0; 5], near: 0, pixels: 0 };
    let mut at = 2;
    loop {
        let (marker, segment, next) = jpeg_markers::segment(stream, at).ok_or_else(damaged)?;
        match marker {
            0xF7 => {
                let byte = |n: usize| segment.get(n).copied().ok_or_else(damaged);
                frame.bits = byte(0)?.into();
                frame.rows = be16(segment, 1).ok_or_else(damaged)?;
                frame.columns = be16(segment, 3).ok_or_else(damaged)?;
                frame.components = byte(5)?.into();
            }
            0xF8 if segment.first() == Some(&1) => {
                for (n, value) in frame.preset.iter_mut().enumerate() {
                    *value = be16(segment, 1 + 2 * n).ok_or_else(damaged)? as i32;
                }
            }
            0xF8 | 0xDD => return Err("their JPEG-LS stream has tables or restarts that are not read".into()),
            0xDA => {
                // Ns, a component and its table for each, then NEAR, ILV and the point transform.
                let [1, _, 0, near, 0, 0] = *segment else {
                    return Err("their JPEG-LS scan is of a kind that is not read".into());
                };
                if frame.columns == 0 || frame.rows == 0 || !(2..=16).contains(&frame.bits) {
                    return Err(damaged());
                }
                (frame.near, frame.pixels) = (near.into(), next);
                return Ok(frame);
            }
            // Comments and application data.
            0xE0..=0xEF | 0xFE => {}
            _ => return Err(damaged()),
        }
        at = next;
    }
}

/// Decodes to little-endian 16 bit cells, row after row. Size and component count were compared before.
pub(super) fn decode(stream: &[u8], columns: usize, rows: usize) -> Result<Vec<u8>, String> {
    let frame = header(stream)?;
    if (frame.columns, frame.rows, frame.components) != (columns, rows, 1) {
        return Err("their JPEG-LS stream has another size".into());
    }
    let mut scan = Scan::new(&frame, stream.get(frame.pixels..).unwrap_or_default())?;
    let mut cells = Vec::with_capacity(columns * rows * 2);
    // With a pixel more on either side, for the neighbours at the edges (A.2.1).
    let (mut above, mut line) = (vec![0i32; columns + 2], vec![0i32; columns + 2]);
    for _ in 0..rows {
        above[columns + 1] = above[columns];
        line[0] = above[1];
        scan.line(&above, &mut line)?;
        line[1..=columns].iter().for_each(|&value| cells.extend((value as u16).to_le_bytes()));
        std::mem::swap(&mut above, &mut line);
    }
    Ok(cells)
}

/// The variables of A.2, with the context arrays A, B, C and N.
struct Scan<'a> {
    bits: Bits<'a>,
    largest: i32,
    near: i32,
    range: i32,
    /// Bits of an error that is written out, and the longest code.
    error_bits: u32,
    limit: u32,
    thresholds: [i32; 3],
    reset: i32,
    sums: [i32; CONTEXTS + 2],
    biases: [i32; CONTEXTS],
    corrections: [i32; CONTEXTS],
    counts: [i32; CONTEXTS + 2],
    negatives: [i32; 2],
    run_index: usize,
}

impl<'a> Scan<'a> {
    fn new(frame: &Frame, bytes: &'a [u8]) -> Result<Self, String> {
        let [largest, t1, t2, t3, reset] = frame.preset;
        let largest = if largest == 0 { (1 << frame.bits) - 1 } else { largest };
        let near = frame.near;
        let reset = if reset == 0 { 64 } else { reset };
        if largest >= 1 << frame.bits || largest < 1 || near > 255.min(largest / 2) || reset < 3 {
            return Err("their JPEG-LS stream has numbers that cannot be".into());
        }
        let [d1, d2, d3] = usual_thresholds(largest, near);
        let thresholds = [(t1, d1), (t2, d2), (t3, d3)].map(|(given, usual)| if given == 0 { usual } else { given });
        let range = if near == 0 { largest + 1 } else { (largest + 2 * near) / (2 * near + 1) + 1 };
        let log = |n: i32| 32 - (n as u32 - 1).leading_zeros();
        let sample_bits = log(largest + 1).max(2);
        let first = 2.max((range + 32) / 64);
        Ok(Self {
            bits: Bits { bytes, at: 0, buffer: 0, count: 0, after_ff: false },
            largest,
            near,
            range,
            error_bits: log(range),
            limit: 2 * (sample_bits + sample_bits.max(8)),
            thresholds,
            reset,
            sums: [first; CONTEXTS + 2],
            biases: [0; CONTEXTS],
            corrections: [0; CONTEXTS],
            counts: [1; CONTEXTS + 2],
            negatives: [0; 2],
            run_index: 0,
        })
    }

    /// One line; pixel x is at x + 1.
    fn line(&mut self, above: &[i32], line: &mut [i32]) -> Result<(), String> {
        let end = line.len() - 1;
        let mut x = 1;
        while x < end {
            let (left, up, up_left, up_right) = (line[x - 1], above[x], above[x - 1], above[x + 1]);
            let gradients = [up_right - up, up - up_left, up_left - left].map(|d| self.quantized(d));
            if gradients == [0; 3] {
                x = self.run(above, line, x)?;
            } else {
                line[x] = self.single(left, up, up_left, gradients)?;
                x += 1;
            }
        }
        Ok(())
    }

    /// A code, which stands for no more errors than there are.
    fn code(&mut self, k: u32, limit: u32) -> Result<i32, String> {
        let code = self.bits.code(k, limit, self.error_bits)?;
        if code > self.range + 1 { Err("their JPEG-LS stream is damaged".into()) } else { Ok(code) }
    }

    /// A.3.3.
    fn quantized(&self, difference: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = match difference.abs() {
            d if d >= t3 => 4,
            d if d >= t2 => 3,
            d if d >= t1 => 2,
            d if d > self.near => 1,
            _ => 0,
        };
        size * difference.signum()
    }

    /// A pixel by its neighbours (A.4 to A.6).
    fn single(&mut self, left: i32, up: i32, up_left: i32, gradients: [i32; 3]) -> Result<i32, String> {
        let context = 81 * gradients[0] + 9 * gradients[1] + gradients[2];
        let (sign, q) = (context.signum(), context.unsigned_abs() as usize);
        let edge = if up_left >= left.max(up) {
            left.min(up)
        } else if up_left <= left.min(up) {
            left.max(up)
        } else {
            left + up - up_left
        };
        let predicted = (edge + sign * self.corrections[q]).clamp(0, self.largest);
        let k = golomb(self.counts[q], self.sums[q]);
        let code = self.code(k, self.limit)?;
        // A.5.2 the other way round: which errors even codes stand for.
        let swapped = self.near == 0 && k == 0 && 2 * self.biases[q] <= -self.counts[q];
        let half = code >> 1;
        let error = match (swapped, code & 1) {
            (false, 0) | (true, 1) => half,
            (false, _) => -half - 1,
            (true, _) => -half - 1,
        };
        self.learn(q, error);
        Ok(self.restored(predicted, sign * error))
    }

    /// A.6.1 and A.6.2.
    fn learn(&mut self, q: usize, error: i32) {
        let (mut bias, mut sum, mut count) =
            (self.biases[q] + error * (2 * self.near + 1), self.sums[q] + error.abs(), self.counts[q]);
        if count == self.reset {
            (sum, count) = (sum >> 1, count >> 1);
            bias = if bias >= 0 { bias >> 1 } else { -((1 - bias) >> 1) };
        }
        count += 1;
        let mut correction = self.corrections[q];
        if bias <= -count {
            bias = (bias + count).max(1 - count);
            correction = (correction - 1).max(-128);
        } else if bias > 0 {
            bias = (bias - count).min(0);
            correction = (correction + 1).min(127);
        }
        (self.biases[q], self.sums[q], self.counts[q], self.corrections[q]) = (bias, sum, count, correction);
    }

    /// The value of an error (A.4.5 the other way round).
    fn restored(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.largest + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.largest)
    }

    /// A run of equal pixels and the one that ends it (A.7); the pixel behind them.
    fn run(&mut self, above: &[i32], line: &mut [i32], start: usize) -> Result<usize, String> {
        let end = line.len() - 1;
        let value = line[start - 1];
        let mut x = start;
        while self.bits.bit()? == 1 {
            let whole = 1usize << RUN_BITS[self.run_index];
            let length = whole.min(end - x);
            line[x..x + length].fill(value);
            x += length;
            if length == whole {
                self.run_index = (self.run_index + 1).min(31);
            }
            if x == end {
                return Ok(end);
            }
        }
        let length = self.bits.take(RUN_BITS[self.run_index])? as usize;
        if length >= end - x {
            return Err("their JPEG-LS stream is damaged".into());
        }
        line[x..x + length].fill(value);
        x += length;
        line[x] = self.interruption(line[x - 1], above[x])?;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(x + 1)
    }

    /// The pixel that ends a run (A.7.2).
    fn interruption(&mut self, left: i32, up: i32) -> Result<i32, String> {
        let alike = usize::from((left - up).abs() <= self.near);
        let q = CONTEXTS + alike;
        let (sum, count) = (self.sums[q], self.counts[q]);
        let k = golomb(count, if alike == 1 { sum + (count >> 1) } else { sum });
        let limit = self.limit - RUN_BITS[self.run_index] - 1;
        let code = self.code(k, limit)?;
        let twice = code + alike as i32;
        let (map, size) = (twice & 1, (twice + 1) >> 1);
        let is_negative = (k != 0 || 2 * self.negatives[alike] >= count) == (map == 1);
        let error = if is_negative { -size } else { size };
        self.negatives[alike] += i32::from(error < 0);
        let (mut sum, mut count) = (sum + ((code + 1 - alike as i32) >> 1), count);
        if count == self.reset {
            (sum, count) = (sum >> 1, count >> 1);
            self.negatives[alike] >>= 1;
        }
        (self.sums[q], self.counts[q]) = (sum, count + 1);
        Ok(match alike {
            1 => self.restored(left, error),
            _ => self.restored(up, if left > up { -error } else { error }),
        })
    }
}

/// Default thresholds (C.2.4.1.1).
fn usual_thresholds(largest: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, low: i32| if value > largest || value < low { low } else { value };
    let [a, b, c] = if largest >= 128 {
        let factor = (largest.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
    } else {
        let factor = 256 / (largest + 1);
        [2.max(3 / factor + 3 * near), 3.max(7 / factor + 5 * near), 4.max(21 / factor + 7 * near)]
    };
    let t1 = clamp(a, near + 1);
    let t2 = clamp(b, t1);
    [t1, t2, clamp(c, t2)]
}

/// The parameter of the code (A.5.1).
fn golomb(count: i32, sum: i32) -> u32 {
    (0..24).find(|&k| i64::from(count) << k >= i64::from(sum)).unwrap_or(24)
}

/// Bits of the scan: behind a byte of ones comes one of seven bits (A.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
    after_ff: bool,
}

impl Bits<'_> {
    fn refill(&mut self, wanted: u32) -> Result<(), String> {
        while self.count < wanted {
            let byte = self.bytes.get(self.at).copied();
            // A marker ends the scan.
            let Some(byte) = byte.filter(|&b| !(self.after_ff && b >= 0x80)) else {
                return Err("their JPEG-LS stream is cut off".into());
            };
            let bits = if self.after_ff { 7 } else { 8 };
            self.buffer = self.buffer << bits | u64::from(byte);
            self.count += bits;
            self.after_ff = byte == 0xFF;
            self.at += 1;
        }
        Ok(())
    }

    fn take(&mut self, bits: u32) -> Result<u32, String> {
        if bits == 0 {
            return Ok(0);
        }
        self.refill(bits)?;
        self.count -= bits;
        Ok((self.buffer >> self.count) as u32 & (u32::MAX >> (32 - bits)))
    }

    fn bit(&mut self) -> Result<u32, String> {
        self.take(1)
    }

    /// A limited Golomb code (A.5.3).
    fn code(&mut self, k: u32, limit: u32, error_bits: u32) -> Result<i32, String> {
        let longest = limit - error_bits - 1;
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > longest {
                return Err("their JPEG-LS stream is damaged".into());
            }
        }
        if zeros < longest {
            return Ok((zeros << k | self.take(k)?) as i32);
        }
        Ok(self.take(error_bits)? as i32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::analytic::damaged_versions;

    const ROWS: i64 = 37;
    const COLUMNS: i64 = 53;

    fn stream(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../tests/data/jpeg-ls/{name}.jls", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// The picture of `tests/data/jpeg-ls/encode.py`.
    fn picture(bits: u32, x: i64, y: i64) -> i64 {
        let value = match (x, y) {
            _ if x > 40 && y > 25 => (1 << bits) - 1,
            _ if x < 20 => 5,
            _ if y < 12 => x * 3 + y,
            _ => (x * 7919 + y * 104_729 + x * y * 31) % 97,
        };
        value % (1 << bits)
    }

    /// Depth, loss, and the sum of all values that CharLS decodes.
    const STREAMS: [(u32, i64, i64); 5] =
        [(8, 0, 114_678), (8, 2, 114_082), (12, 0, 621_558), (16, 0, 8_731_638), (16, 3, 8_732_946)];

    #[test]
    fn what_charls_encoded_is_decoded_as_charls_does() {
        for (bits, near, expected) in STREAMS {
            let stream = stream(&format!("{bits}-{near}"));
            assert_eq!(size(&stream), Some(([COLUMNS as usize, ROWS as usize], 1, bits)));
            let cells = decode(&stream, COLUMNS as usize, ROWS as usize).unwrap();
            let values: Vec<i64> = cells.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]).into()).collect();
            assert_eq!(values.iter().sum::<i64>(), expected, "{bits} bits, {near}");
            for (n, &value) in values.iter().enumerate() {
                let truth = picture(bits, n as i64 % COLUMNS, n as i64 / COLUMNS);
                assert!((value - truth).abs() <= near, "{bits} bits, {near}, pixel {n}: {value}, not {truth}");
            }
        }
    }

    #[test]
    fn damage_is_an_error_and_nothing_else() {
        for (bits, near, _) in STREAMS {
            let whole = stream(&format!("{bits}-{near}"));
            assert!(decode(&whole[..whole.len() - 20], COLUMNS as usize, ROWS as usize).is_err());
            for damaged in damaged_versions(&whole, 2000) {
                if let Some(([columns, rows], _, _)) = size(&damaged)
                    && columns * rows < 1 << 16
                {
                    let _ = decode(&damaged, columns, rows);
                }
            }
        }
    }
}
