//! Other libraries, by name: which of our members, with which parameters, is what they do.
