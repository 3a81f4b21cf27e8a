//! Asking memory for numbers before they are read.

/// Numbers of one line of the caches, 64 bytes.
pub(crate) const LINE: usize = 16;

/// Asks for the line that holds the number `ahead` places behind the first of `numbers`, which may
/// lie beyond their end: nothing is read, and nothing changes but time.
///
/// The processor follows a row by itself, but stops at the end of every page of 4 KiB, and loses
/// count where more than a dozen rows are read together.
#[inline(always)]
#[allow(clippy::inline_always, reason = "a call would take longer than what it asks for")]
pub(crate) fn ahead<T>(numbers: &[T], ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        let place = numbers.as_ptr().wrapping_add(ahead).cast();
        sse._mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(place);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, ahead);
}

/// Asks for all lines of `values`, which are read soon.
pub(crate) fn all<T>(values: &[T]) {
    let step = (LINE * size_of::<f32>() / size_of::<T>().max(1)).max(1);
    for place in (0..values.len()).step_by(step) {
        ahead(values, place);
    }
}

/// Asks for the first line of `values` and for the last.
pub(crate) fn ends<T>(values: &[T]) {
    ahead(values, 0);
    ahead(values, values.len().saturating_sub(1));
}
