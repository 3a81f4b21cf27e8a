//! The largest value of each square of an image, channel by channel.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use ndarray::{Array2, ArrayView2};
use pulp::{Arch, NullaryFnOnce};

use super::Float;
use super::image::Image;

/// Channels whose values are compared at a time, and those of what is left over.
const WIDE: usize = 16;
const NARROW: usize = 4;

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
        Arch::new().dispatch(Forward { pool: self, image, largest, chosen });
    }

    /// Writes to `image` the `delta` of each square at the place that was chosen, and 0 elsewhere.
    pub(super) fn back<F: Float>(&self, delta: &[F], chosen: &[u8], image: &mut [F]) {
        let pooled = self.pooled();
        let whole = (pooled.height * self.size, pooled.width * self.size);
        if whole != (self.image.height, self.image.width) {
            image.fill(F::zero());
        }
        Arch::new().dispatch(Back { pool: self, delta, chosen, image });
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
    #[inline(always)]
    fn start(&self, square: usize, place: usize) -> usize {
        let columns = self.image.width / self.size;
        let row = square / columns * self.size + place / self.size;
        let column = square % columns * self.size + place % self.size;
        (row * self.image.width + column) * self.image.channels
    }
}

/// The way up, compiled for each kind of processor.
struct Forward<'a, F> {
    pool: &'a Pool,
    image: &'a [F],
    largest: &'a mut [F],
    chosen: &'a mut [u8],
}

impl<F: Float> NullaryFnOnce for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Forward { pool, image, largest, chosen } = self;
        let channels = pool.image.channels;
        let squares = largest.chunks_exact_mut(channels).zip(chosen.chunks_exact_mut(channels));
        for (square, (largest, chosen)) in squares.enumerate() {
            let corner = pool.start(square, 0);
            let (wide, rest) = largest.as_chunks_mut::<WIDE>();
            let (wide_chosen, rest_chosen) = chosen.as_chunks_mut::<WIDE>();
            let done = wide.len() * WIDE;
            for (index, (largest, chosen)) in wide.iter_mut().zip(wide_chosen).enumerate() {
                pool.largest_of(image, corner + index * WIDE, largest, chosen);
            }
            let (narrow, rest) = rest.as_chunks_mut::<NARROW>();
            let (narrow_chosen, rest_chosen) = rest_chosen.as_chunks_mut::<NARROW>();
            for (index, (largest, chosen)) in narrow.iter_mut().zip(narrow_chosen).enumerate() {
                pool.largest_of(image, corner + done + index * NARROW, largest, chosen);
            }
            let done = channels / NARROW * NARROW;
            let (ones, _) = rest.as_chunks_mut::<1>();
            let (ones_chosen, _) = rest_chosen.as_chunks_mut::<1>();
            for (index, (largest, chosen)) in ones.iter_mut().zip(ones_chosen).enumerate() {
                pool.largest_of(image, corner + done + index, largest, chosen);
            }
        }
    }
}

impl Pool {
    /// The largest values of `N` channels of a square; its first pixel's first of them stands at
    /// `corner`.
    ///
    /// What is compared, what is taken and where it stood are loops of their own, without a branch:
    /// so all channels have a lane of one register.
    #[inline(always)]
    fn largest_of<F: Float, const N: usize>(
        &self,
        image: &[F],
        corner: usize,
        largest: &mut [F; N],
        chosen: &mut [u8; N],
    ) {
        let pixel = "channels of a pixel";
        let first: &[F; N] = image[corner..].first_chunk().expect(pixel);
        let (mut best, mut which) = (*first, [0_u32; N]);
        for row in 0..self.size {
            for column in 0..self.size {
                let start = corner + (row * self.image.width + column) * self.image.channels;
                let values: &[F; N] = image[start..].first_chunk().expect(pixel);
                let place = (row * self.size + column) as u32;
                let mut larger = [false; N];
                for lane in 0..N {
                    larger[lane] = (values[lane] > best[lane]) | values[lane].is_nan();
                }
                for lane in 0..N {
                    best[lane] = if larger[lane] { values[lane] } else { best[lane] };
                }
                for lane in 0..N {
                    which[lane] = if larger[lane] { place } else { which[lane] };
                }
            }
        }
        *largest = best;
        for lane in 0..N {
            chosen[lane] = which[lane] as u8;
        }
    }
}

/// The way down, compiled for each kind of processor.
struct Back<'a, F> {
    pool: &'a Pool,
    delta: &'a [F],
    chosen: &'a [u8],
    image: &'a mut [F],
}

impl<F: Float> NullaryFnOnce for Back<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Back { pool, delta, chosen, image } = self;
        let channels = pool.image.channels;
        let squares = delta.chunks_exact(channels).zip(chosen.chunks_exact(channels)).enumerate();
        for (square, (delta, chosen)) in squares {
            for place in 0..pool.size * pool.size {
                let target = &mut image[pool.start(square, place)..][..channels];
                for ((target, &delta), &chosen) in target.iter_mut().zip(delta).zip(chosen) {
                    *target = if chosen == place as u8 { delta } else { F::zero() };
                }
            }
        }
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
