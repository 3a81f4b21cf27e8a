//! Ink on a grid of pixels.

use super::SIDE;
use super::draws::Draws;

/// A straight piece of a stroke, in pixels; pixel `(column, row)` has its centre at
/// `(column + ½, row + ½)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Where it starts.
    pub(super) from: [f32; 2],
    /// Where it ends.
    pub(super) to: [f32; 2],
    /// Half the width of the line.
    pub(super) radius: f32,
    /// How dark the line is, 0 to 1.
    pub(super) ink: f32,
}

/// An image that is being drawn: 0 is paper, 1 is ink.
pub(super) struct Canvas([f32; SIDE * SIDE]);

impl Canvas {
    /// An empty sheet.
    pub(super) fn new() -> Self {
        Canvas([0.0; SIDE * SIDE])
    }

    /// Draws a line with round ends whose edge fades over `fade` pixels. Ink on ink does not add
    /// up: the darker wins.
    pub(super) fn draw(&mut self, segment: &Segment, fade: f32) {
        let Segment { from, to, radius, ink } = *segment;
        let along = [to[0] - from[0], to[1] - from[1]];
        let length2 = along[0] * along[0] + along[1] * along[1];
        let inverse = if length2 > 0.0 { 1.0 / length2 } else { 0.0 };
        let reach = radius + 0.5 * fade;
        let columns = covered(from[0], to[0], reach);
        for row in covered(from[1], to[1], reach) {
            let y = row as f32 + 0.5 - from[1];
            for column in columns.clone() {
                let x = column as f32 + 0.5 - from[0];
                let part = ((x * along[0] + y * along[1]) * inverse).clamp(0.0, 1.0);
                let (dx, dy) = (x - part * along[0], y - part * along[1]);
                let distance = (dx * dx + dy * dy).sqrt();
                let grey = ink * ((reach - distance) / fade).clamp(0.0, 1.0);
                let pixel = &mut self.0[row * SIDE + column];
                *pixel = pixel.max(grey);
            }
        }
    }

    /// The image in 256 grey levels, after noise of standard deviation `noise`.
    pub(super) fn develop(&self, noise: f32, draws: &mut Draws) -> [u8; SIDE * SIDE] {
        self.0.map(|grey| (255.0 * (grey + noise * draws.bell()).clamp(0.0, 1.0) + 0.5) as u8)
    }
}

/// The rows or columns that a line from `a` to `b` with this reach can touch.
fn covered(a: f32, b: f32, reach: f32) -> std::ops::Range<usize> {
    let first = (a.min(b) - reach).clamp(0.0, SIDE as f32);
    let last = (a.max(b) + reach).clamp(0.0, SIDE as f32);
    first as usize..last.ceil() as usize
}
