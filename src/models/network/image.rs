//! What stands between two layers: an image, pixel by pixel with its channels side by side.

/// The sizes of an image whose values stand in the order row, column, channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl Image {
    /// How many values it has.
    pub(super) fn values(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// How many places it has.
    pub(super) fn pixels(&self) -> usize {
        self.height * self.width
    }
}
