//! Systems: which machines take part and how they are wired.
