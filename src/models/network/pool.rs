//! The largest value of each square of an image, channel by channel.

use ndarray::{Array2, ArrayView2};
use pulp::Arch;

use super::Float;
use super::image::Image;

/// Squares of `size` times `size` pixels, side by side; what is left over at the edges is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pool {
    /// What is read.
    pub(super) image: Image,
    /// Rows and columns of a square, at most 16.
    pub(super) size: usize,
}

impl Pool {
    /// What comes of it.
    pub(super) fn pooled(&self) -> Image {
        let Image { height, width, channels } = self.image;
        Image { height: height / self.size, width: width / self.size, channels }
    }

    /// Writes the largest values of one image to `largest`, and to `chosen` which place of its
    /// square each was found at: the first of equals, as PyTorch does, and NaN before all.
    pub(super) fn forward<F: Float>(&self, image: &[F], largest: &mut [F], chosen: &mut [u8]) {
        let channels = self.image.channels;
        let squares =
            largest.chunks_exact_mut(channels).zip(chosen.chunks_exact_mut(channels)).enumerate();
        Arch::new().dispatch(|| {
            for (square, (largest, chosen)) in squares {
                largest.copy_from_slice(&image[self.start(square, 0)..][..channels]);
                chosen.fill(0);
                for place in 1..self.size * self.size {
                    let values = &image[self.start(square, place)..][..channels];
                    take_larger(values, place as u8, largest, chosen);
                }
            }
        });
    }

    /// Writes to `image` the `delta` of each square at the place that was chosen, and 0 elsewhere.
    pub(super) fn back<F: Float>(&self, delta: &[F], chosen: &[u8], image: &mut [F]) {
        let channels = self.image.channels;
        let pooled = self.pooled();
        let whole = (pooled.height * self.size, pooled.width * self.size);
        if whole != (self.image.height, self.image.width) {
            image.fill(F::zero());
        }
        let squares = delta.chunks_exact(channels).zip(chosen.chunks_exact(channels)).enumerate();
        Arch::new().dispatch(|| {
            for (square, (delta, chosen)) in squares {
                for place in 0..self.size * self.size {
                    let target = &mut image[self.start(square, place)..][..channels];
                    for ((target, &delta), &chosen) in target.iter_mut().zip(delta).zip(chosen) {
                        *target = if chosen == place as u8 { delta } else { F::zero() };
                    }
                }
            }
        });
    }

    /// The same for a row of values for each image.
    pub(super) fn forward_all<F: Float>(&self, images: ArrayView2<'_, F>) -> (Array2<F>, Vec<u8>) {
        let values = self.pooled().values();
        let images = images.as_standard_layout();
        let mut largest = Array2::zeros((images.nrows(), values));
        let mut chosen = vec![0; images.nrows() * values];
        let rows = images.rows().into_iter().zip(largest.rows_mut());
        for ((image, mut largest), chosen) in rows.zip(chosen.chunks_exact_mut(values)) {
            let image = image.to_slice().expect("the standard layout is contiguous");
            let largest = largest.as_slice_mut().expect("an owned array is contiguous");
            self.forward(image, largest, chosen);
        }
        (largest, chosen)
    }

    /// The same for a row of deltas for each image.
    pub(super) fn back_all<F: Float>(&self, delta: &Array2<F>, chosen: &[u8]) -> Array2<F> {
        let mut images = Array2::zeros((delta.nrows(), self.image.values()));
        let rows = delta.rows().into_iter().zip(images.rows_mut());
        for ((delta, mut image), chosen) in rows.zip(chosen.chunks_exact(self.pooled().values())) {
            let delta = delta.to_slice().expect("an owned array is contiguous");
            let image = image.as_slice_mut().expect("an owned array is contiguous");
            self.back(delta, chosen, image);
        }
        images
    }

    /// Where the channels of a place of a square start.
    #[inline]
    fn start(&self, square: usize, place: usize) -> usize {
        let columns = self.image.width / self.size;
        let row = square / columns * self.size + place / self.size;
        let column = square % columns * self.size + place % self.size;
        (row * self.image.width + column) * self.image.channels
    }
}

#[allow(clippy::inline_always, reason = "what is inlined is compiled for the processor")]
#[inline(always)]
fn take_larger<F: Float>(values: &[F], place: u8, largest: &mut [F], chosen: &mut [u8]) {
    for ((&value, largest), chosen) in values.iter().zip(largest).zip(chosen) {
        let larger = value > *largest || value.is_nan();
        *largest = if larger { value } else { *largest };
        *chosen = if larger { place } else { *chosen };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_by_hand() {
        let pool = Pool { image: Image { height: 2, width: 5, channels: 1 }, size: 2 };
        let image = [1.0, 4.0, 2.0, 2.0, 9.0, 3.0, 4.0, 2.0, f64::NAN, 9.0];
        let (mut largest, mut chosen) = ([0.0; 2], [9; 2]);
        pool.forward(&image, &mut largest, &mut chosen);
        assert_eq!((largest[0], chosen), (4.0, [1, 3]));
        assert!(largest[1].is_nan());
        let mut back = [7.0; 10];
        pool.back(&[0.5, -1.0], &[1, 2], &mut back);
        assert_eq!(back, [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0]);
    }
}
