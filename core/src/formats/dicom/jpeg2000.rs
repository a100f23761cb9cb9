//! JPEG 2000 (ISO 15444-1), by `hayro-jpeg2000`: Rust without `unsafe`.
//!
//! The codec that `dicom-pixeldata` offers in pure Rust is OpenJPEG translated from C. It calls C's `malloc`, so a module
//! for the browser that contains it does not load, and it frees null pointers, which a browser does not forgive.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

/// Whether the syntax is JPEG 2000 part 1.
pub(super) fn is_jpeg2000(syntax: &str) -> bool {
    matches!(syntax, "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91")
}

/// Decodes to little-endian 16 bit cells, row after row, negative samples in two's complement. Size, component count and
/// `bits` were compared before; `signed` is the stream's own word for it (A.5.1, Ssiz).
pub(super) fn decode(stream: &[u8], pixels: usize, bits: u32, signed: bool) -> Result<Vec<u8>, String> {
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(stream, &settings).map_err(|e| format!("JPEG 2000: {e}"))?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|e| format!("JPEG 2000: {e}"))?;
    let samples = decoded.components().first().map(|c| c.samples()).unwrap_or_default();
    if samples.len() != pixels {
        return Err(format!("JPEG 2000: {} pixels came out instead of {pixels}", samples.len()));
    }
    // The decoder shifts every sample by half the range; only unsigned ones have to be (G.1.2).
    let half = if signed { 1i32 << (bits - 1) } else { 0 };
    let largest = (1i32 << bits) - 1;
    let cell = |&sample: &f32| ((sample.round() as i32).clamp(0, largest) - half) as u16;
    Ok(samples.iter().flat_map(|s| cell(s).to_le_bytes()).collect())
}
