//! Reports: folds over what runs have stored.
