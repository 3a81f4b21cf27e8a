//! A folder of images: PNG and JPEG files in one folder for each class.
//!
//! Either `PATH/train/CLASS/*` and `PATH/test/CLASS/*`, or `PATH/CLASS/*`, of which a share,
//! `test`, is drawn from `seed` to judge by; it does not follow the run's seed. Classes are the
//! folders of the training images, by name; images of a class come by name, too. Hidden files are
//! passed over, everything else must be an image.
//!
//! All images must be of one size; none is stretched or cut. Values are divided by 255 unless
//! `data.scale` says otherwise. A worker reads the files of its own samples and no other, once it
//! has found that all of them are what the experiment was planned with.
//!
//! Fails on an image that is damaged or of another size, on a class without images, and on more
//! than 256 classes; the message names the file or the folder.
//!
//! Reference: the layout is that of `torchvision.datasets.ImageFolder`.

use std::io::Read;
use std::sync::Arc;

use ndarray::Array2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::picture::{Colours, Picture, Size, decode};
use super::survey::{CHANGED, Moments, Survey, broken, check_share, digest, judges, made};
use super::{DataError, Dataset, File, Store, SurveyError, beyond};
use crate::catalog::{ConfigError, Entry, Parameters};
use crate::dataset::{Raw, Scale, Shape, Split, Values};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Dataset> = Entry {
    name: "folder",
    summary: "a folder of yours with PNG and JPEG images, one folder for each class",
    reference: "the layout of torchvision's ImageFolder",
    source: include_str!("folder.rs"),
    claims: (),
    parameters: || schema_for!(Folder),
    build: |parameters| {
        parameters.build::<dyn Dataset, Folder>(|folder| Ok(Arc::new(folder.checked()?)))
    },
};

/// The most bytes of one image.
const BYTES_MAX: u64 = 64 << 20;

/// Parameters of a folder of images.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Folder {
    /// The folder; a relative path starts at the folder of the experiment file.
    path: String,
    /// Which values a pixel has. Default: `rgb`.
    #[serde(default)]
    colours: Colours,
    /// The share of images that is drawn to judge by, where there is no folder `test`: above 0,
    /// below 1. Default: 0.2.
    #[serde(default = "fifth")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    test: f64,
    /// What the images to judge by are drawn from. Default: 1.
    #[serde(default = "one")]
    seed: u64,
    /// What the folder holds, filled in when the experiment is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survey: Option<Survey>,
}

fn fifth() -> f64 {
    0.2
}

fn one() -> u64 {
    1
}

/// A surveyed folder.
#[derive(Debug)]
struct Images {
    folder: Folder,
    survey: Survey,
}

/// An image: where it is below the folder, and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image {
    name: String,
    class: u8,
}

/// The images of both splits.
struct Found {
    classes: Vec<String>,
    train: Vec<Image>,
    test: Vec<Image>,
}

impl Folder {
    fn checked(mut self) -> Result<Images, ConfigError> {
        check_share(self.test)?;
        let survey = made(self.survey.take(), &self.path)?;
        Ok(Images { folder: self, survey })
    }

    /// Finds the images, without reading any.
    fn find(&self, store: &dyn Store) -> Result<Found, DataError> {
        let top = folders(store, &self.path)?;
        let has = |name: &str| top.iter().any(|found| found == name);
        if !has("train") && !has("test") {
            return self.find_together(store, top);
        }
        if let Some(missing) = ["train", "test"].into_iter().find(|name| !has(name)) {
            return Err(broken(&self.path, format!("has no folder {missing} beside the other")));
        }
        let classes = folders(store, &format!("{}/train", self.path))?;
        self.check_classes(&classes)?;
        let train = self.images(store, "train/", &classes)?;
        let judging = folders(store, &format!("{}/test", self.path))?;
        if let Some(unknown) = judging.iter().find(|class| !classes.contains(class)) {
            let path = format!("{}/test/{unknown}", self.path);
            return Err(broken(&path, "no folder in train has this class"));
        }
        let mut test = self.images(store, "test/", &judging)?;
        for image in &mut test {
            let name = &judging[usize::from(image.class)];
            let class = classes.iter().position(|class| class == name).expect("they were compared");
            image.class = class as u8;
        }
        Ok(Found { classes, train, test })
    }

    fn find_together(&self, store: &dyn Store, classes: Vec<String>) -> Result<Found, DataError> {
        self.check_classes(&classes)?;
        let all = self.images(store, "", &classes)?;
        let judges = judges(self.test, self.seed, all.len());
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (image, judges) in all.into_iter().zip(judges) {
            if judges { test.push(image) } else { train.push(image) }
        }
        Ok(Found { classes, train, test })
    }

    fn check_classes(&self, classes: &[String]) -> Result<(), DataError> {
        if (2..=256).contains(&classes.len()) {
            return Ok(());
        }
        let found = classes.len();
        Err(broken(&self.path, format!("has folders for {found} classes, and 2 to 256 are read")))
    }

    /// The images of these classes, below a folder that ends in a stroke.
    fn images(
        &self,
        store: &dyn Store,
        above: &str,
        classes: &[String],
    ) -> Result<Vec<Image>, DataError> {
        let mut images = Vec::new();
        for (class, name) in classes.iter().enumerate() {
            let path = format!("{}/{above}{name}", self.path);
            let before = images.len();
            for listed in store.list(&path)? {
                let name = format!("{above}{name}/{}", listed.name);
                if listed.is_folder {
                    let path = format!("{}/{name}", self.path);
                    return Err(broken(&path, "is a folder, where images should be"));
                }
                images.push(Image { name, class: class as u8 });
            }
            if images.len() == before {
                return Err(broken(&path, "has no images: every class needs some"));
            }
        }
        Ok(images)
    }

    /// The pixels of an image.
    fn read(
        &self,
        store: &dyn Store,
        name: &str,
        size: Option<Size>,
    ) -> Result<Picture, DataError> {
        let path = format!("{}/{name}", self.path);
        let mut bytes = Vec::new();
        let read = store.given(&path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| broken(&path, error.to_string()))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(broken(&path, format!("has more than {BYTES_MAX} bytes")));
        }
        decode(&bytes, self.colours, size).map_err(|what| broken(&path, what))
    }
}

/// The names of the folders in a folder.
fn folders(store: &dyn Store, path: &str) -> Result<Vec<String>, DataError> {
    let listed = store.list(path)?.into_iter().filter(|listed| listed.is_folder);
    Ok(listed.map(|listed| listed.name).collect())
}

/// Reads what the folder holds: every image, so that a damaged one is found before a run begins.
pub(super) fn survey(parameters: Parameters, store: &dyn Store) -> Result<Survey, SurveyError> {
    let folder: Folder = parameters.read()?;
    check_share(folder.test)?;
    let Found { classes, train, test } = folder.find(store)?;
    let mut per_class = vec![0; classes.len()];
    let mut moments = Moments::of(folder.colours.channels());
    let mut size = None;
    for image in &train {
        let picture = folder.read(store, &image.name, size)?;
        size = Some(picture.size);
        per_class[usize::from(image.class)] += 1;
        let values: Vec<f32> = picture.values.into_iter().map(f32::from).collect();
        moments.add(&values);
    }
    for image in &test {
        folder.read(store, &image.name, size)?;
    }
    let paths: Vec<(&str, String)> = train
        .iter()
        .chain(&test)
        .map(|image| (image.name.as_str(), format!("{}/{}", folder.path, image.name)))
        .collect();
    let (mean, deviation) = moments.end(255.0);
    let (height, width) = size.unwrap_or_default();
    let survey = Survey {
        digest: digest(store, paths.iter().map(|(name, path)| (*name, path.as_str())))?,
        train: train.len(),
        test: test.len(),
        height,
        width,
        channels: folder.colours.channels(),
        classes: classes.len(),
        names: classes,
        bytes: true,
        mean,
        deviation,
    };
    Ok(survey.checked(&per_class).map_err(|what| broken(&folder.path, what))?)
}

impl Images {
    /// The images of a split, which must be as many as there were.
    fn of(&self, split: Split, store: &dyn Store) -> Result<Vec<Image>, DataError> {
        let found = self.folder.find(store)?;
        let images = match split {
            Split::Train => found.train,
            Split::Test => found.test,
        };
        if images.len() != self.len(split) || found.classes != self.survey.names {
            return Err(broken(&self.folder.path, CHANGED));
        }
        Ok(images)
    }
}

impl Dataset for Images {
    fn shape(&self) -> Shape {
        self.survey.shape()
    }

    fn len(&self, split: Split) -> usize {
        self.survey.len(split)
    }

    fn files(&self, _split: Split) -> Vec<&'static File> {
        Vec::new()
    }

    fn scale(&self) -> Scale {
        Scale::Unit
    }

    fn measured(&self) -> Option<Scale> {
        Some(self.survey.measured())
    }

    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError> {
        Ok(self.of(split, store)?.into_iter().map(|image| image.class).collect())
    }

    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Raw, DataError> {
        let images = self.of(split, store)?;
        let Shape { height, width, .. } = self.shape();
        let mut values = Array2::zeros((indices.len(), self.shape().features()));
        let mut labels = Vec::with_capacity(indices.len());
        for (row, &index) in values.rows_mut().into_iter().zip(indices) {
            let Some(image) = images.get(index) else {
                return Err(beyond(&self.folder.path, index, split, images.len()));
            };
            let picture = self.folder.read(store, &image.name, Some((height, width)))?;
            row.into_iter().zip(picture.values).for_each(|(to, from)| *to = from);
            labels.push(image.class);
        }
        Ok(Raw { values: Values::Bytes(values), labels })
    }
}

#[cfg(test)]
mod tests {
    use png::ColorType;

    use super::*;
    use crate::datasets::picture::tests::{ORANGE, png_of};
    use crate::datasets::tests::{Memory, surveyed};

    /// A grey image of 2 x 1 pixels.
    fn grey(left: u8, right: u8) -> Vec<u8> {
        png_of(2, 1, ColorType::Grayscale, &[left, right])
    }

    fn store(files: &[(&str, Vec<u8>)]) -> Memory {
        let named = |(name, bytes): &(&str, Vec<u8>)| (format!("pets/{name}"), bytes.clone());
        Memory(files.iter().map(named).collect())
    }

    /// Both splits as folders: classes cat and dog, two and one images, and a dog to judge by.
    fn apart() -> Memory {
        store(&[
            ("train/cat/a.png", grey(0, 51)),
            ("train/cat/b.png", grey(102, 51)),
            ("train/dog/a.png", grey(255, 0)),
            ("test/dog/z.png", grey(9, 8)),
            ("readme.txt", b"hello".to_vec()),
        ])
    }

    fn refusal(store: &Memory) -> String {
        surveyed("folder", "path = 'pets'\ncolours = 'grey'", store).unwrap_err()
    }

    #[test]
    fn two_folders_by_hand() {
        let store = apart();
        let parameters = "path = 'pets'\ncolours = 'grey'";
        let (found, set) = surveyed("folder", parameters, &store).unwrap();
        assert_eq!((found.train, found.test), (3, 1));
        assert_eq!(found.names, ["cat", "dog"]);
        assert_eq!(set.shape(), Shape { height: 1, width: 2, channels: 1, classes: 2 });
        // 0, 0.2, 0.4, 0.2, 1 and 0.
        assert_eq!((found.mean, found.deviation), (vec![0.3], vec![0.341_565]));
        assert_eq!(set.labels(Split::Train, &store).unwrap(), [0, 0, 1]);
        let samples = set.scaled(Split::Train, &[2, 0, 2], &Scale::None, &store).unwrap();
        assert_eq!(samples.labels, [1, 0, 1]);
        assert_eq!(samples.inputs.row(0).to_vec(), [255.0, 0.0]);
        assert_eq!(samples.inputs.row(1).to_vec(), [0.0, 51.0]);
        let judged = set.scaled(Split::Test, &[0], &set.scale(), &store).unwrap();
        assert_eq!((judged.labels, judged.inputs.row(0)[0]), (vec![1], 9.0 / 255.0));
        let (coloured, _) = surveyed("folder", "path = 'pets'", &store).unwrap();
        assert_eq!(coloured.channels, 3);
    }

    #[test]
    fn a_share_of_one_folder_judges() {
        let names: Vec<String> =
            (0..40).map(|place| format!("{}/{place:02}.png", ["ant", "bee"][place % 2])).collect();
        let files: Vec<(&str, Vec<u8>)> = names
            .iter()
            .zip(0..)
            .map(|(name, place)| (name.as_str(), grey(place, place % 2)))
            .collect();
        let store = store(&files);
        let (found, set) =
            surveyed("folder", "path='pets'\ncolours='grey'\ntest=0.25", &store).unwrap();
        assert_eq!((found.train, found.test), (30, 10));
        let mut all = Vec::new();
        for split in [Split::Train, Split::Test] {
            let indices: Vec<usize> = (0..set.len(split)).collect();
            let samples = set.scaled(split, &indices, &Scale::None, &store).unwrap();
            assert_eq!(samples.labels, set.labels(split, &store).unwrap());
            for (row, label) in samples.inputs.rows().into_iter().zip(samples.labels) {
                assert_eq!(row[1], f32::from(label));
                all.push(row[0] as u8);
            }
        }
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_broken_image_is_named_and_so_is_one_of_another_size() {
        let with = |name: &str, bytes: Vec<u8>| {
            let mut store = apart();
            store.0.insert(format!("pets/{name}"), bytes);
            refusal(&store)
        };
        let whole = grey(1, 2);
        let error = with("train/dog/b.png", whole[..whole.len() - 20].to_vec());
        assert!(error.starts_with("pets/train/dog/b.png: is damaged: "), "{error}");
        let error = with("test/dog/a.jpg", ORANGE[..ORANGE.len() / 2].to_vec());
        assert!(error.starts_with("pets/test/dog/a.jpg: is "), "{error}");
        assert_eq!(
            with("test/dog/a.jpg", ORANGE.to_vec()),
            "pets/test/dog/a.jpg: is 8 x 6 pixels, and the first image 2 x 1"
        );
        assert_eq!(
            with("train/cat/notes.txt", b"meow".to_vec()),
            "pets/train/cat/notes.txt: is neither PNG nor JPEG"
        );
        assert_eq!(
            with("train/cat/old/a.png", grey(1, 2)),
            "pets/train/cat/old: is a folder, where images should be"
        );
    }

    #[test]
    fn folders_that_make_no_data_set_are_refused() {
        let mut unknown = apart();
        unknown.0.insert("pets/test/cow/a.png".to_owned(), grey(1, 2));
        assert_eq!(refusal(&unknown), "pets/test/cow: no folder in train has this class");
        let mut half = apart();
        half.0.remove("pets/test/dog/z.png");
        assert_eq!(refusal(&half), "pets: has no folder test beside the other");
        let lonely = store(&[("cat/a.png", grey(1, 2))]);
        assert_eq!(refusal(&lonely), "pets: has folders for 1 classes, and 2 to 256 are read");
        assert_eq!(refusal(&Memory::default()), "pets: entity not found");
        let few = store(&[("cat/a.png", grey(1, 2)), ("dog/a.png", grey(1, 2))]);
        let error = refusal(&few);
        assert_eq!(error, "pets: 2 samples to learn from and 0 to judge by: both need one");
    }
}
