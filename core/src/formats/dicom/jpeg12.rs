//! JPEG extended sequential with 12 bits per sample (ISO 10918-1 process 4), the lossy syntax 1.2.840.10008.1.2.4.51 as
//! CT uses it. The pure-Rust JPEG decoders stop at 8 bits for lossy processes; this reads what a grey-scale slice needs
//! and no more: one component, Huffman coding, restart intervals.

use std::f32::consts::PI;

use super::jpeg_markers;

const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];
/// Level shift and largest value of 12 bit samples.
const MIDDLE: f32 = 2048.0;
const LARGEST: f32 = 4095.0;

/// Whether the stream's first frame header is SOF1 with 12 bits.
pub(super) fn is_twelve_bit(stream: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low, bits]) = stream.get(at..at + 5) {
        match marker {
            0xC1 => return bits == 12,
            0xC0 | 0xC2..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xDA => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

/// Decodes to little-endian 16 bit cells, row after row. Size and component count were compared before.
pub(super) fn decode(stream: &[u8], columns: usize, rows: usize) -> Result<Vec<u8>, String> {
    let mut tables = Tables::default();
    let mut at = 2;
    loop {
        let (marker, segment, next) = jpeg_markers::segment(stream, at).ok_or("their JPEG stream is cut off")?;
        at = next;
        let broken = || format!("JPEG marker {marker:02X} is damaged");
        match marker {
            0xC4 => tables.huffman(segment).ok_or_else(broken)?,
            0xDB => tables.quantisation(segment).ok_or_else(broken)?,
            0xC1 => tables.component(segment).ok_or_else(broken)?,
            0xDD => tables.restart = segment.first_chunk().map(|&b| u16::from_be_bytes(b).into()).ok_or_else(broken)?,
            0xDA => {
                let &[_, _, selectors, ..] = segment else { return Err(broken()) };
                let dc = tables.dc.get(usize::from(selectors >> 4)).and_then(Option::as_ref);
                let ac = tables.ac.get(usize::from(selectors & 15)).and_then(Option::as_ref);
                let (Some(dc), Some(ac)) = (dc, ac) else { return Err(broken()) };
                let quantisers = tables.quantisers.get(tables.selected).and_then(Option::as_ref).ok_or_else(broken)?;
                let bits = Bits { data: stream.get(at..).unwrap_or_default(), at: 0, held: 0, count: 0 };
                return scan(bits, dc, ac, quantisers, tables.restart, columns, rows)
                    .ok_or_else(|| "their JPEG stream is cut off or damaged".into());
            }
            _ => {}
        }
    }
}

/// What the markers before the scan define.
#[derive(Default)]
struct Tables {
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    quantisers: [Option<[f32; 64]>; 4],
    /// Quantisation table of the component.
    selected: usize,
    /// Blocks between restart markers; 0 is none.
    restart: usize,
}

impl Tables {
    fn component(&mut self, segment: &[u8]) -> Option<()> {
        self.selected = usize::from(*segment.get(8)?);
        Some(())
    }

    /// DQT, B.2.4.1: tables in zigzag order, of 8 or 16 bits.
    fn quantisation(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let wide = head >> 4 != 0;
            let (values, rest) = rest.split_at_checked(if wide { 128 } else { 64 })?;
            let mut table = [0.0; 64];
            for (k, &place) in ZIGZAG.iter().enumerate() {
                let value =
                    if wide { u16::from_be_bytes([values[2 * k], values[2 * k + 1]]) } else { values[k].into() };
                table[place] = value.into();
            }
            *self.quantisers.get_mut(usize::from(head & 15))? = Some(table);
            segment = rest;
        }
        Some(())
    }

    /// DHT, B.2.4.2.
    fn huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (values, rest) = rest.split_at_checked(counts.iter().map(|&c| usize::from(c)).sum())?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(head & 15))? = Some(Huffman::new(counts, values));
            segment = rest;
        }
        Some(())
    }
}

/// A Huffman table in the form of F.2.2.3: for each length the first code, its place among the values, and the end.
struct Huffman {
    first_code: [u32; 17],
    first_value: [usize; 17],
    count: [u32; 17],
    values: Vec<u8>,
}

impl Huffman {
    fn new(counts: &[u8; 16], values: &[u8]) -> Self {
        let mut table = Self { first_code: [0; 17], first_value: [0; 17], count: [0; 17], values: values.to_vec() };
        let (mut code, mut value) = (0u32, 0);
        for length in 1..=16 {
            let count = counts[length - 1];
            table.first_code[length] = code;
            table.first_value[length] = value;
            table.count[length] = count.into();
            code = (code + u32::from(count)) << 1;
            value += usize::from(count);
        }
        table
    }

    fn read(&self, bits: &mut Bits) -> Option<u8> {
        let mut code = 0;
        for length in 1..=16 {
            code = code << 1 | bits.take(1)?;
            let place = code.wrapping_sub(self.first_code[length]);
            if place < self.count[length] {
                return self.values.get(self.first_value[length] + place as usize).copied();
            }
        }
        None
    }
}

/// Entropy-coded bits, with stuffed zeros taken out (F.2.2.5).
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn take(&mut self, n: u32) -> Option<u32> {
        while self.count < n {
            let byte = *self.data.get(self.at)?;
            self.at += 1;
            if byte == 0xFF {
                if *self.data.get(self.at)? != 0 {
                    return None;
                }
                self.at += 1;
            }
            self.held = self.held << 8 | u32::from(byte);
            self.count += 8;
        }
        self.count -= n;
        Some(self.held >> self.count & ((1 << n) - 1))
    }

    /// A signed value of `size` bits (F.2.2.1, RECEIVE and EXTEND).
    fn signed(&mut self, size: u8) -> Option<i32> {
        if size == 0 {
            return Some(0);
        }
        let value = self.take(u32::from(size))? as i32;
        Some(if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value })
    }

    /// Steps over a restart marker.
    fn restart(&mut self) -> Option<()> {
        self.count = 0;
        let (&[0xFF, 0xD0..=0xD7], _) = self.data.get(self.at..)?.split_first_chunk()? else { return None };
        self.at += 2;
        Some(())
    }
}

/// The blocks of a scan of one component (A.2.2: in rows of blocks, whatever the sampling factors say).
fn scan(
    mut bits: Bits,
    dc: &Huffman,
    ac: &Huffman,
    quantisers: &[f32; 64],
    restart: usize,
    columns: usize,
    rows: usize,
) -> Option<Vec<u8>> {
    let cosines: [[f32; 8]; 8] = std::array::from_fn(|x| {
        std::array::from_fn(|u| {
            let scale = if u == 0 { 0.125f32.sqrt() } else { 0.5 };
            scale * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos()
        })
    });
    let mut out = vec![0u8; columns * rows * 2];
    let mut previous = 0i32;
    let wide = columns.div_ceil(8);
    for n in 0..wide * rows.div_ceil(8) {
        if restart > 0 && n > 0 && n % restart == 0 {
            bits.restart()?;
            previous = 0;
        }
        let mut block = [0f32; 64];
        let size = dc.read(&mut bits)?;
        if size > 15 {
            return None;
        }
        previous = previous.wrapping_add(bits.signed(size)?);
        block[0] = previous as f32 * quantisers[0];
        let mut k = 1;
        while k < 64 {
            let symbol = ac.read(&mut bits)?;
            let (run, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 {
                if run != 15 {
                    break;
                }
                k += 16;
                continue;
            }
            k += run;
            let place = *ZIGZAG.get(k)?;
            block[place] = bits.signed(size)? as f32 * quantisers[place];
            k += 1;
        }
        let (left, top) = (n % wide * 8, n / wide * 8);
        let samples = inverse_cosine(&block, &cosines);
        for y in 0..8.min(rows - top) {
            for x in 0..8.min(columns - left) {
                let value = (samples[y * 8 + x] + MIDDLE).round().clamp(0.0, LARGEST) as u16;
                let cell = 2 * ((top + y) * columns + left + x);
                out[cell..cell + 2].copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    Some(out)
}

/// Inverse discrete cosine transform of a block (A.3.3), rows then columns.
fn inverse_cosine(block: &[f32; 64], cosines: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut rows = [0f32; 64];
    for v in 0..8 {
        for x in 0..8 {
            rows[v * 8 + x] = (0..8).map(|u| cosines[x][u] * block[v * 8 + u]).sum();
        }
    }
    let mut out = [0f32; 64];
    for y in 0..8 {
        for x in 0..8 {
            out[y * 8 + x] = (0..8).map(|v| cosines[y][v] * rows[v * 8 + x]).sum();
        }
    }
    out
}
