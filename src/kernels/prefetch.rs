//! Asking memory for numbers before they are read.

/// Numbers of one line of the caches, 64 bytes.
pub(super) const LINE: usize = 16;

/// Asks for the line that holds the number `ahead` places behind the first of `numbers`, which may
/// lie beyond their end: nothing is read, and nothing changes but time.
///
/// The processor follows a row by itself, but stops at the end of every page of 4 KiB, and loses
/// count where more than a dozen rows are read together.
#[inline(always)]
#[allow(clippy::inline_always, reason = "a call would take longer than what it asks for")]
pub(super) fn ahead<T>(numbers: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        let place = numbers.as_ptr().wrapping_add(ahead).cast();
        sse._mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, ahead);
}
