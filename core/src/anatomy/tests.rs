use super::*;

/// The ids in label order, as the labelled data spell them.
const IDS: [&str; ORGAN_COUNT] = [
    "brain_stem",
    "constrictor_naris",
    "ear_left",
    "ear_right",
    "eye_left",
    "eye_right",
    "hypophysis",
    "larynx",
    "mandible",
    "oral_cavity",
    "parotid_left",
    "parotid_right",
    "submandibular_gland_left",
    "submandibular_gland_right",
    "spinal_cord",
    "sublingual_gland",
    "temporal_lobe_left",
    "temporal_lobe_right",
    "tmj_left",
    "tmj_right",
    "trachea",
    "heart",
    "lung_left",
    "lung_right",
    "esophagus",
    "gallbladder",
    "kidney_left",
    "kidney_right",
    "bowel_bag",
    "liver",
    "pancreas",
    "spleen",
    "stomach",
];

#[test]
fn labels_and_ids_are_those_of_the_data() {
    for (n, id) in IDS.into_iter().enumerate() {
        let organ = Organ::from_id(id).unwrap();
        assert_eq!((organ.index(), usize::from(organ.label()), organ.id()), (n, n + 1, id));
        assert_eq!(Organ::from_label(organ.label()), Some(organ));
        assert_eq!(serde_json::to_string(&organ).unwrap(), format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<Organ>(&format!("\"{id}\"")).unwrap(), organ);
    }
    assert_eq!(Organ::from_label(0), None);
    assert_eq!(Organ::from_label(34), None);
    assert_eq!(Organ::from_label(255), None);
}

#[test]
fn names_and_colours_are_distinct() {
    for (n, a) in Organ::ALL.into_iter().enumerate() {
        for b in &Organ::ALL[..n] {
            assert_ne!(a.name(), b.name());
            assert_ne!(a.tg263(), b.tg263());
            assert_ne!(a.colour(), b.colour());
            if a.snomed().is_some() && a.snomed() == b.snomed() {
                assert_eq!(a.mirror(), Some(*b), "only the two sides of a pair share a code");
            }
        }
        // TG-263: at most 16 characters, of letters, digits and underscores.
        assert!(a.tg263().len() <= 16 && a.tg263().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{a}");
    }
}

#[test]
fn sixteen_organs_come_in_eight_pairs() {
    let paired: Vec<Organ> = Organ::ALL.into_iter().filter(|o| o.mirror().is_some()).collect();
    assert_eq!(paired.len(), 16);
    for organ in paired {
        let other = organ.mirror().unwrap();
        assert_eq!(other.mirror(), Some(organ));
        let swap = |s: &str| s.replace("left", "#").replace("right", "left").replace('#', "right");
        assert_eq!(swap(organ.id()), other.id());
        assert_eq!(swap(organ.name()), other.name());
        assert_eq!(organ.side() == Side::Left, organ.tg263().ends_with("_L"), "{organ}");
        assert_eq!(organ.side() == Side::Right, organ.tg263().ends_with("_R"), "{organ}");
        assert_eq!(organ.side() == Side::Left, other.side() == Side::Right);
        assert_eq!((organ.snomed(), organ.regions()), (other.snomed(), other.regions()));
    }
    for organ in Organ::ALL.into_iter().filter(|o| o.mirror().is_none()) {
        assert!(matches!(organ.side(), Side::Midline | Side::Unpaired));
        assert!(!organ.id().contains("left") && !organ.id().contains("right"));
    }
}

/// The last digit of a SNOMED CT identifier is a Verhoeff check digit: a mistyped code does not pass.
fn verhoeff_valid(code: &str) -> bool {
    const P: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |a: usize, b: usize| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + (b - 5)) % 5,
        (false, true) => 5 + ((a - 5) + 5 - b) % 5,
        (false, false) => ((a - 5) + 5 - (b - 5)) % 5,
    };
    let mut sum = 0;
    for (n, digit) in code.bytes().rev().enumerate() {
        let mut d = usize::from(digit - b'0');
        for _ in 0..n % 8 {
            d = P[d];
        }
        sum = product(sum, d);
    }
    sum == 0
}

#[test]
fn snomed_codes_have_valid_check_digits() {
    assert!(!verhoeff_valid("10200005") && !verhoeff_valid("12000004"));
    for code in Organ::ALL.into_iter().flat_map(|o| [o.snomed(), o.side().snomed()]).flatten() {
        assert!(verhoeff_valid(code.value), "{code:?}");
    }
}

#[test]
fn regions_of_an_organ_are_a_run_and_widening_adds_one_at_each_end() {
    for organ in Organ::ALL {
        let strict: Vec<usize> = Region::ALL.iter().filter(|r| organ.can_occur_in(**r)).map(|r| r.index()).collect();
        let (first, last) = (strict[0], strict[strict.len() - 1]);
        assert_eq!(strict, (first..=last).collect::<Vec<_>>(), "{organ}");
        for (r, possible) in organ.possible_regions_widened().into_iter().enumerate() {
            assert_eq!(possible, r + 1 >= first && r <= last + 1, "{organ} in {}", Region::ALL[r]);
        }
    }
    assert!(!Organ::Liver.possible_regions_widened()[Region::Head.index()]);
    assert!(!Organ::Liver.possible_regions_widened()[Region::UpperChest.index()]);
    assert!(Organ::Liver.possible_regions_widened()[Region::Chest.index()]);
    assert_eq!(Organ::ParotidLeft.possible_regions_widened(), [true, true, false, false, false]);
    // Every region shows something, or its slices would teach nothing.
    assert!(Region::ALL.iter().all(|&r| Organ::ALL.into_iter().any(|o| o.can_occur_in(r))));
}

#[test]
fn regions_are_keyed_as_they_are_listed() {
    for (n, region) in Region::ALL.into_iter().enumerate() {
        assert_eq!(
            (region.index(), Region::from_id(region.id()), Region::from_index(n)),
            (n, Some(region), Some(region))
        );
        assert_eq!(serde_json::to_string(&region).unwrap(), format!("\"{}\"", region.id()));
    }
    assert_eq!(Region::from_index(5), None);
}

#[test]
fn a_set_of_organs_travels_as_a_list_of_ids() {
    let set: OrganSet = [Organ::Stomach, Organ::BrainStem, Organ::Liver, Organ::Liver].into_iter().collect();
    assert_eq!(set.len(), 3);
    assert_eq!(serde_json::to_string(&set).unwrap(), r#"["brain_stem","liver","stomach"]"#);
    assert_eq!(serde_json::from_str::<OrganSet>(r#"["stomach","liver","brain_stem"]"#).unwrap(), set);
    assert_eq!(OrganSet::from_ids(["liver", "apendix"]), Err(UnknownOrgan("apendix".into())));
    assert!(serde_json::from_str::<OrganSet>(r#"["apendix"]"#).unwrap_err().to_string().contains("apendix"));
    assert_eq!(OrganSet::ALL.iter().collect::<Vec<_>>(), Organ::ALL);
    assert!(OrganSet::EMPTY.is_empty() && OrganSet::ALL.len() == ORGAN_COUNT);
    let mut other = OrganSet::EMPTY;
    assert!(other.insert(Organ::Liver) && !other.insert(Organ::Liver) && other.contains(Organ::Liver));
    assert_eq!(set.intersection(other).iter().collect::<Vec<_>>(), [Organ::Liver]);
    assert_eq!(set.difference(other).len(), 2);
    assert_eq!(set.union(OrganSet::ALL), OrganSet::ALL);
    assert!(other.remove(Organ::Liver) && !other.remove(Organ::Liver) && other.is_empty());
}
