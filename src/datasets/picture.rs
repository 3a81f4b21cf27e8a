//! PNG and JPEG images as bytes of grey or of red, green and blue.
//!
//! Nothing is believed: an image has the size that it must have before its pixels are allocated,
//! and one that is cut off or damaged is refused, not filled up. Transparency is left away, 16 bits
//! are cut to 8, and animations count with their first picture.

use std::io::Cursor;

use png::{ColorType, Transformations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The most pixels along a side.
const SIDE_MAX: u32 = 4_096;

/// The most bytes that a decoder of PNG takes for itself.
const WORKING_MAX: usize = 64 << 20;

/// Which values a pixel has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Colours {
    /// Red, green and blue; of a grey image all three are the same.
    #[default]
    Rgb,
    /// One value; of colours `0.299 red + 0.587 green + 0.114 blue`, rounded.
    Grey,
}

impl Colours {
    /// Values per pixel.
    pub(super) fn channels(self) -> usize {
        match self {
            Colours::Rgb => 3,
            Colours::Grey => 1,
        }
    }
}

/// Height and width.
pub(super) type Size = (usize, usize);

/// An image, row by row, the values of a pixel side by side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) size: Size,
    pub(super) values: Vec<u8>,
}

/// Decodes an image, which must be of this size if one is given.
pub(super) fn decode(
    bytes: &[u8],
    colours: Colours,
    expected: Option<Size>,
) -> Result<Picture, String> {
    let (size, channels, values) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes, expected)?
    } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        decode_jpeg(bytes, expected)?
    } else {
        return Err("is neither PNG nor JPEG".to_owned());
    };
    let pixels = values.chunks_exact(channels);
    let values = match colours {
        Colours::Rgb if channels >= 3 => pixels.flat_map(|pixel| pixel[..3].to_vec()).collect(),
        Colours::Rgb => pixels.flat_map(|pixel| [pixel[0]; 3]).collect(),
        Colours::Grey if channels >= 3 => pixels.map(grey).collect(),
        Colours::Grey => pixels.map(|pixel| pixel[0]).collect(),
    };
    Ok(Picture { size, values })
}

/// How bright a colour is.
fn grey(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8
}

/// Refuses an image of another size than it must have.
fn check(height: u32, width: u32, expected: Option<Size>) -> Result<Size, String> {
    let size = (height as usize, width as usize);
    match expected {
        Some(expected) if expected != size => Err(format!(
            "is {width} x {height} pixels, and the first image {} x {}",
            expected.1, expected.0
        )),
        _ if height.max(width) > SIDE_MAX || height.min(width) == 0 => {
            Err(format!("is {width} x {height} pixels, and 1 to {SIDE_MAX} are read"))
        }
        _ => Ok(size),
    }
}

type Raw = (Size, usize, Vec<u8>);

fn decode_png(bytes: &[u8], expected: Option<Size>) -> Result<Raw, String> {
    let limits = png::Limits { bytes: WORKING_MAX };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let damage = |error: png::DecodingError| format!("is damaged: {error}");
    let mut reader = decoder.read_info().map_err(damage)?;
    let size = check(reader.info().height, reader.info().width, expected)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => return Err("has a palette that is not there".to_owned()),
    };
    let length = reader.output_buffer_size().ok_or("is too large")?;
    let mut values = vec![0; length];
    reader.next_frame(&mut values).map_err(damage)?;
    // The end of the file, whose checksum tells whether it is whole.
    reader.finish().map_err(damage)?;
    values.truncate(size.0 * size.1 * channels);
    Ok((size, channels, values))
}

fn decode_jpeg(bytes: &[u8], expected: Option<Size>) -> Result<Raw, String> {
    // The decoder makes up what is missing at the end; no scan holds these marks itself.
    let last = |mark: [u8; 2]| bytes.windows(2).rposition(|two| two == mark);
    if last([0xff, 0xd9]) <= last([0xff, 0xda]) {
        return Err("is damaged: it is cut off".to_owned());
    }
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(SIDE_MAX as usize)
        .set_max_height(SIDE_MAX as usize);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    let damage = |error: zune_jpeg::errors::DecodeErrors| format!("is damaged: {error:?}");
    decoder.decode_headers().map_err(damage)?;
    let info = decoder.info().ok_or("has no size")?;
    let size = check(u32::from(info.height), u32::from(info.width), expected)?;
    let (colours, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let values = decoder.decode().map_err(damage)?;
    if values.len() != size.0 * size.1 * channels {
        return Err("is damaged: it has another number of pixels than it says".to_owned());
    }
    Ok((size, channels, values))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Written by Pillow: 8 x 6 pixels of red 200, green 100, blue 50, at quality 95.
    pub(in crate::datasets) const ORANGE: &[u8] =
        include_bytes!("../../tests/golden/files/orange.jpg");
    /// Written by Pillow: 8 x 6 pixels of grey 120, at quality 95.
    const STONE: &[u8] = include_bytes!("../../tests/golden/files/stone.jpg");

    /// A PNG of these values.
    pub(in crate::datasets) fn png_of(
        width: u32,
        height: u32,
        colour: ColorType,
        values: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(values).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn colours_and_greys_by_hand() {
        let coloured = png_of(2, 1, ColorType::Rgba, &[200, 100, 50, 9, 1, 2, 3, 0]);
        let rgb = decode(&coloured, Colours::Rgb, None).unwrap();
        assert_eq!((rgb.size, rgb.values), ((1, 2), vec![200, 100, 50, 1, 2, 3]));
        // 59.8 + 58.7 + 5.7 = 124.2 and 0.299 + 1.174 + 0.342 = 1.815.
        assert_eq!(decode(&coloured, Colours::Grey, None).unwrap().values, [124, 2]);
        let plain = png_of(1, 2, ColorType::Grayscale, &[7, 250]);
        assert_eq!(decode(&plain, Colours::Grey, Some((2, 1))).unwrap().values, [7, 250]);
        let rgb = decode(&plain, Colours::Rgb, None).unwrap();
        assert_eq!((rgb.size, rgb.values), ((2, 1), vec![7, 7, 7, 250, 250, 250]));
    }

    #[test]
    fn jpegs_of_another_program() {
        let near = |bytes: &[u8], colours: Colours, colour: &[u8]| {
            let picture = decode(bytes, colours, Some((6, 8))).unwrap();
            assert_eq!(picture.values.len(), 48 * colour.len());
            for pixel in picture.values.chunks_exact(colour.len()) {
                let far = pixel.iter().zip(colour).any(|(one, other)| one.abs_diff(*other) > 2);
                assert!(!far, "{pixel:?} for {colour:?}");
            }
        };
        near(ORANGE, Colours::Rgb, &[200, 100, 50]);
        near(ORANGE, Colours::Grey, &[124]);
        near(STONE, Colours::Grey, &[120]);
        near(STONE, Colours::Rgb, &[120, 120, 120]);
    }

    #[test]
    fn damage_is_told_and_never_filled_up() {
        let noise: Vec<u8> = (0..48u32).map(|place| (place * 37 % 251) as u8).collect();
        let whole = png_of(8, 6, ColorType::Grayscale, &noise);
        for bytes in [&whole[..], ORANGE] {
            for length in 0..bytes.len() {
                let found = decode(&bytes[..length], Colours::Rgb, Some((6, 8)));
                assert!(found.is_err(), "{length} of {} bytes pass", bytes.len());
            }
        }
        for place in 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x10;
            if let Ok(picture) = decode(&bytes, Colours::Grey, Some((6, 8))) {
                assert_eq!(picture.values, noise, "byte {place}");
            }
        }
        for place in 0..ORANGE.len() {
            let mut bytes = ORANGE.to_vec();
            bytes[place] ^= 0x55;
            let _ = decode(&bytes, Colours::Rgb, None);
        }
        assert_eq!(decode(b"GIF89a", Colours::Rgb, None).unwrap_err(), "is neither PNG nor JPEG");
        assert_eq!(decode(b"", Colours::Rgb, None).unwrap_err(), "is neither PNG nor JPEG");
    }

    #[test]
    fn another_size_is_refused_before_pixels_are_allocated() {
        let told = |bytes: &[u8], expected| decode(bytes, Colours::Rgb, expected).unwrap_err();
        let expected = Some((28, 28));
        assert_eq!(told(ORANGE, expected), "is 8 x 6 pixels, and the first image 28 x 28");
        let mut vast = png_of(1, 1, ColorType::Grayscale, &[1]);
        // Width and height, and the checksum over them.
        vast[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&vast[12..29]);
        vast[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let error = told(&vast, None);
        assert!(error.contains("65536 x 65536") || error.contains("imit"), "{error}");
    }
}
