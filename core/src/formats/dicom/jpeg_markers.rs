//! The marker segments that JPEG (ISO 10918-1, B.1.1) and JPEG-LS streams begin with.

/// The big-endian number of two bytes at `at`.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

/// The marker segment at `at`, behind fill bytes: its marker, what it holds, and where the next begins. `None` where the stream is damaged or
/// cut off.
pub(super) fn segment(stream: &[u8], mut at: usize) -> Option<(u8, &[u8], usize)> {
    while stream.get(at..at + 2)? == [0xFF, 0xFF] {
        at += 1;
    }
    let &[0xFF, marker, high, low] = stream.get(at..at + 4)? else { return None };
    let next = at + 2 + usize::from(u16::from_be_bytes([high, low]));
    Some((marker, stream.get(at + 4..next)?, next))
}
