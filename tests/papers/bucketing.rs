//! Rules that select need rows that are alike, and buckets make them so: Karimireddy, He and
//! Jaggi, ICLR 2022.

use super::kept::small;

const KRUM: &str = "[epfml.Krum]";
const KRUM_ON_BUCKETS: &str = "[epfml.Bucketing(s=2), epfml.Krum]";
const MEDIAN: &str = "[epfml.RFA]";
const MEDIAN_ON_BUCKETS: &str = "[epfml.Bucketing(s=2), epfml.RFA]";
const CLIPPING: &str = "[byzfl.CenteredClipping";
const MIMIC: &str = "epfml.Mimic";
const INNER_PRODUCT: &str = "epfml.IPM";

#[test]
fn buckets_give_rules_back_what_sorted_data_take_from_them() {
    let Some(kept) = small("bucketing") else { return };
    let of = |rule: &str, attack: &str| kept.last_five(&[rule, attack]);
    for attack in [MIMIC, INNER_PRODUCT] {
        // 27 and 54, 20 and 39 per cent, when this was written; as published 37 and 53, 37 and 54.
        let (bare, bucketed) = (of(KRUM, attack), of(KRUM_ON_BUCKETS, attack));
        assert!(bare < 0.4 && bucketed > bare + 0.1, "{bare} {bucketed}");
        // Nobody needs buckets less than clipping: 90 per cent, as published 91 and more.
        let clipped = of(CLIPPING, attack);
        assert!(clipped > 0.85 && clipped > of(MEDIAN, attack) + 0.08, "{clipped}");
    }
    // 26 and 87 per cent; as published 15 and 91.
    let (bare, bucketed) = (of(MEDIAN, INNER_PRODUCT), of(MEDIAN_ON_BUCKETS, INNER_PRODUCT));
    assert!(bare < 0.45 && bucketed > 0.8, "{bare} {bucketed}");
    // 74 and 88 per cent; as published 79 and 91.
    let (bare, bucketed) = (of(MEDIAN, MIMIC), of(MEDIAN_ON_BUCKETS, MIMIC));
    assert!(bucketed > bare + 0.05, "{bare} {bucketed}");
}
