//! Experiments on a folder of images of the user's.

use std::fs;
use std::path::Path;

use super::own_files::{in_both, refusal};
use crate::support::Lab;

/// Writes a grey PNG of 4 x 4 pixels.
fn image(path: &Path, bright: bool, place: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, 4, 4);
    encoder.set_color(png::ColorType::Grayscale);
    let base = if bright { 200 } else { 20 };
    let values: Vec<u8> = (0..16u8).map(|pixel| base + (pixel * 7 + place) % 40).collect();
    encoder.write_header().unwrap().write_image_data(&values).unwrap();
}

/// A lab with a folder of images beside the experiment: thirty to learn from, ten to judge by.
fn lab() -> Lab {
    let lab = Lab::new(
        "schema = 1\nname = 'images'\naggregation = { rule = 'median' }\n\
         training = { rounds = 6, batch = 4, learning_rate = 0.5 }\n\
         system = { central = { workers = 3 } }\n\
         model = { cnn = { layers = [{ convolution = { channels = 2, kernel = 3 } }] } }\n\
         [data]\nset = { folder = { path = 'sky', colours = 'grey' } }\nscale = 'measured'\n",
    );
    for place in 0..40u8 {
        let split = if place < 30 { "train" } else { "test" };
        let class = ["day", "night"][usize::from(place % 2)];
        let name = format!("sky/{split}/{class}/{place:02}.png");
        image(&lab.path(&name), place % 2 == 0, place);
    }
    lab
}

#[test]
fn classes_are_folders() {
    let lab = lab();
    let run = in_both(&lab);
    // Day and night are told apart by anybody who reads the right pixels.
    assert_eq!(run.summary()["final_accuracy"].as_f64(), Some(1.0));
    let config = fs::read_to_string(run.path.join("config.toml")).unwrap();
    for said in ["names = [\"day\", \"night\"]", "train = 30", "test = 10", "[data.scale.standard]"]
    {
        assert!(config.contains(said), "{said}: {config}");
    }
}

#[test]
fn one_broken_image_is_named_before_anything_runs() {
    let lab = lab();
    let path = lab.path("sky/train/night/07.png");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 15]).unwrap();
    let refused = refusal(&lab);
    let squeezed: String = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("sky/train/night/07.png: is damaged"), "{refused}");
    assert!(!lab.path("refused").exists(), "nothing was begun");
}

#[test]
fn an_empty_class_is_named() {
    let lab = lab();
    fs::create_dir(lab.path("sky/train/dusk")).unwrap();
    let refused = refusal(&lab);
    assert!(refused.contains("sky/train/dusk: has no images: every class needs some"), "{refused}");
}
