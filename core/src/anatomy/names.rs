//! What real files call the organs.
//!
//! Hospitals spell freely, and a substring match would read a stone, a margin or a lobe as the whole organ. So a name
//! is cut into whole words, its side is taken out, and what is left must be exactly one alias of the table. Whatever is
//! not understood completely is no match.

use super::organ::{Organ, Organ::*, Side};

/// Names longer than this are prose; DICOM's ROI Name (LO) has at most 64 characters.
const LONGEST: usize = 64;

/// The aliases of an organ, or of a pair by its left organ: words in any order. `gland` is written out; see [`WORDS`].
const ALIASES: &[(Organ, &[&str])] = &[
    (BrainStem, &["brain stem", "truncus encephali"]),
    (
        ConstrictorNaris,
        &[
            "constrictor naris",
            "musc constrict",
            "pharyngeal constrictor",
            "pharyngeal constrictors",
            "pharyngeal constrictor muscle",
            "pharyngeal constrictor muscles",
            "pharynx constrictor",
            "pharynx constrictors",
        ],
    ),
    // Not the inner, middle or external ear alone: those words are unknown here.
    (EarLeft, &["ear"]),
    // Not the orbit: that is the bony cavity.
    (EyeLeft, &["eye", "eye ball", "eye globe", "globe", "bulbus oculi"]),
    (Hypophysis, &["hypophysis", "pituitary", "pituitary gland"]),
    (Larynx, &["larynx"]),
    (Mandible, &["mandible", "mandibula", "mandible bone"]),
    (OralCavity, &["oral cavity", "oral cav", "cavum oris"]),
    (ParotidLeft, &["parotid", "parotid gland", "parotid salivary gland", "parotis"]),
    (
        SubmandibularGlandLeft,
        &[
            "submandibular gland",
            "submandibular",
            "submandibular salivary gland",
            "submand gland",
            "submand",
            "sub mandibular gland",
            "smg",
        ],
    ),
    // Not the canal. "Medulla" alone may be the oblongata.
    (SpinalCord, &["spinal cord", "cord", "medulla spinalis"]),
    (SublingualGland, &["sublingual gland", "sublingual glands", "sublingual", "subling gland", "sublings gland"]),
    (TemporalLobeLeft, &["temporal lobe", "temp lobe"]),
    (TmjLeft, &["tmj", "tm joint", "temporomandibular joint", "temporo mandibular joint"]),
    (Trachea, &["trachea"]),
    (Heart, &["heart"]),
    (LungLeft, &["lung"]),
    (Esophagus, &["esophagus", "oesophagus", "esoph", "oesoph"]),
    (Gallbladder, &["gall bladder"]),
    (KidneyLeft, &["kidney"]),
    (BowelBag, &["bowel bag"]),
    (Liver, &["liver"]),
    (Pancreas, &["pancreas"]),
    (Spleen, &["spleen"]),
    (Stomach, &["stomach"]),
];

/// Words that are always another word.
const WORDS: &[(&str, &str)] = &[("glnd", "gland"), ("lt", "left"), ("rt", "right"), ("l", "left"), ("r", "right")];

/// Words that say nothing about what is outlined.
const EMPTY_WORDS: &[&str] = &["oar"];

impl Organ {
    /// The organ that a structure or segment name of a foreign file means, or `None` when it is not certain.
    ///
    /// Names are read as whole words, whatever their case, order and separators: `Parotid_L`, `parotid-lt`,
    /// `LeftParotid` and `Glnd_Parotid_L` are the same organ. A paired organ without a side, a part of an organ, a
    /// planning margin (`SpinalCord_PRV`), a target volume, an optimisation structure and every word that the table
    /// does not know give `None`: a structure left unnamed costs a click, one named wrongly costs a patient.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut words = split(name)?;
        words.retain(|word| !EMPTY_WORDS.contains(&word.as_str()));
        for word in &mut words {
            if let Some((_, full)) = WORDS.iter().find(|(short, _)| short == word) {
                *word = (*full).to_owned();
            }
        }

        let mut side = None;
        let mut sides = 0;
        words.retain(|word| match side_word(word) {
            Some(found) => {
                side = Some(found);
                sides += 1;
                false
            }
            None => true,
        });
        if sides > 1 {
            return None;
        }
        // "leftkidney", "KIDNEYRIGHT": no case tells the words apart.
        let joined = words.concat();
        if let (None, Some((rest, found))) = (side, side_affix(&joined)) {
            return find(&[rest.to_owned()], Some(found));
        }
        find(&words, side)
    }
}

/// The organ that these words, without the side, and this side name.
fn find(words: &[String], side: Option<Side>) -> Option<Organ> {
    let joined = words.concat();
    let matches = |alias: &str| {
        // Joined: "spinalcord", "TMjoint". Otherwise the same words in any order.
        let mut open: Vec<&str> = alias.split(' ').collect();
        alias.replace(' ', "") == joined
            || open.len() == words.len()
                && words.iter().all(|word| match open.iter().position(|o| o == word) {
                    Some(at) => {
                        open.swap_remove(at);
                        true
                    }
                    None => false,
                })
    };
    let (organ, _) = ALIASES.iter().find(|(_, aliases)| aliases.iter().any(|alias| matches(alias)))?;
    match (organ.side(), side) {
        (Side::Left, Some(Side::Left)) => Some(*organ),
        (Side::Left, Some(Side::Right)) => organ.mirror(),
        // A side of a single organ is a part of it: half a mandible, a lobe of the liver.
        (Side::Midline | Side::Unpaired, None) => Some(*organ),
        _ => None,
    }
}

fn side_word(word: &str) -> Option<Side> {
    match word {
        "left" => Some(Side::Left),
        "right" => Some(Side::Right),
        _ => None,
    }
}

fn side_affix(joined: &str) -> Option<(&str, Side)> {
    [("left", Side::Left), ("right", Side::Right)].into_iter().find_map(|(word, side)| {
        let rest = joined.strip_prefix(word).or_else(|| joined.strip_suffix(word))?;
        Some((rest, side))
    })
}

/// The lower-case words of a name: cut at separators and where the case changes (`SpinalCord`, `LParotid`, `SMGLeft`).
///
/// `None` if the name holds anything but letters, digits and separators. TG-263 marks partly outlined organs with `~` and
/// free text with `^`; `+`, `&` and `/` join structures: none of these is the plain organ.
fn split(name: &str) -> Option<Vec<String>> {
    if name.len() > LONGEST {
        return None;
    }
    let chars: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (n, &c) in chars.iter().enumerate() {
        if matches!(c, ' ' | '\t' | '_' | '-' | '.' | ',' | '(' | ')' | '[' | ']') {
            words.push(std::mem::take(&mut word));
            continue;
        }
        if !c.is_ascii_alphanumeric() {
            return None;
        }
        let before = n.checked_sub(1).and_then(|b| chars.get(b));
        let after = chars.get(n + 1);
        let starts = c.is_ascii_uppercase()
            && (before.is_some_and(char::is_ascii_lowercase)
                || before.is_some_and(char::is_ascii_uppercase) && after.is_some_and(char::is_ascii_lowercase));
        if starts {
            words.push(std::mem::take(&mut word));
        }
        word.push(c.to_ascii_lowercase());
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_name_and_tg263_name_means_its_own_organ() {
        for organ in Organ::ALL {
            for name in [organ.id(), organ.name(), organ.tg263()] {
                for name in [name.to_owned(), name.to_uppercase(), name.to_lowercase(), name.replace('_', " ")] {
                    assert_eq!(Organ::from_name(&name), Some(organ), "{name}");
                }
            }
        }
    }

    #[test]
    fn spellings_of_real_files_are_understood() {
        for (name, organ) in [
            ("Parotid_L", ParotidLeft),
            ("parotid-lt", ParotidLeft),
            ("LeftParotid", ParotidLeft),
            ("LParotid", ParotidLeft),
            ("Lt. Parotid", ParotidLeft),
            ("Left Parotid Gland", ParotidLeft),
            ("parotid_gland_left", ParotidLeft),
            ("Glnd_Parotid_R", ParotidRight),
            ("Parotis (R)", ParotidRight),
            ("OAR_Parotid_R", ParotidRight),
            ("RtParotid", ParotidRight),
            ("SpinalCord", SpinalCord),
            ("Spinal Cord", SpinalCord),
            ("spinalcord", SpinalCord),
            ("SPINAL_CORD", SpinalCord),
            ("Cord", SpinalCord),
            ("BrainStem", BrainStem),
            ("Brainstem", BrainStem),
            ("brain stem", BrainStem),
            ("oesophagus", Esophagus),
            ("Esophagus", Esophagus),
            ("Submandibular_L", SubmandibularGlandLeft),
            ("Glnd_Submand_L", SubmandibularGlandLeft),
            ("SMG_L", SubmandibularGlandLeft),
            ("SMGRight", SubmandibularGlandRight),
            ("right SMG", SubmandibularGlandRight),
            ("submandibular_gland_right", SubmandibularGlandRight),
            ("TMjoint_L", TmjLeft),
            ("TMJ_R", TmjRight),
            ("Left temporomandibular joint", TmjLeft),
            ("TemporalLobe_R", TemporalLobeRight),
            ("Temporal Lobe, left", TemporalLobeLeft),
            ("kidney_left", KidneyLeft),
            ("LeftKidney", KidneyLeft),
            ("leftkidney", KidneyLeft),
            ("KIDNEYRIGHT", KidneyRight),
            ("Kidney, right", KidneyRight),
            ("L Lung", LungLeft),
            ("Lung_R", LungRight),
            ("GallBladder", Gallbladder),
            ("gall_bladder", Gallbladder),
            ("Bowel_Bag", BowelBag),
            ("BowelBag", BowelBag),
            ("Oral Cavity", OralCavity),
            ("mandibula", Mandible),
            ("pharyngeal constrictors", ConstrictorNaris),
            ("pituitary gland", Hypophysis),
            ("Globe_L", EyeLeft),
            ("eye right", EyeRight),
            ("  heart ", Heart),
        ] {
            assert_eq!(Organ::from_name(name), Some(organ), "{name}");
        }
    }

    #[test]
    fn what_is_not_certainly_the_whole_organ_is_left_unnamed() {
        for name in [
            "",
            " ",
            "L",
            "left",
            "gland",
            "OAR",
            // no side, or both
            "Parotid",
            "Parotids",
            "Kidney",
            "Lungs",
            "Eyes",
            "Parotid_L_R",
            "Kidney_L+R",
            "Kidney_L-R",
            "left right lung",
            // a part
            "lung_upper_lobe_left",
            "Mandible_L",
            "Liver_L",
            "heart_ventricle_left",
            "Esophagus_S",
            "Ear_Internal_L",
            "InnerEar_R",
            "Glnd_Subling_L",
            "Larynx_SG",
            "Musc_Constrict_S",
            "~Lung_L",
            "medulla",
            "Medulla oblongata",
            "larynx_air",
            // a margin, a target, a helper structure
            "Cord_PRV",
            "SpinalCord_PRV05",
            "Brainstem PRV",
            "CordPRV",
            "PRV_Cord",
            "PTV_Parotid_L",
            "PTV 70",
            "Lung_L-PTV",
            "Liver-GTV",
            "zLiver",
            "z_Liver",
            "Parotid_L_opt",
            "Parotid_L_2",
            "Brainstem_MPACS",
            "Cord+3mm",
            "Heart^Dr X",
            // something else
            "KidneyStone",
            "Kidney stone left",
            "kidney_cyst_left",
            "Optic_Nerve_L",
            "OpticNrv_R",
            "Chiasm",
            "Lens_L",
            "Orbit_L",
            "SpinalCanal",
            "Bowel",
            "small_bowel",
            "colon",
            "brain",
            "bladder",
            "Lunge li",
            "Ösophagus",
            "vertebrae_C1",
            "hearts",
            "deliver",
            "bright lung eye",
            "Couch",
            "a name that is longer than the sixty-four characters which DICOM allows in a liver",
        ] {
            assert_eq!(Organ::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_side_always_survives() {
        for organ in Organ::ALL.into_iter().filter(|organ| organ.side() == Side::Left) {
            let bare = organ.name().trim_end_matches(" left");
            for (word, side) in [("left", Side::Left), ("RIGHT", Side::Right), ("Lt", Side::Left), ("r", Side::Right)] {
                for name in [format!("{bare} {word}"), format!("{word}_{bare}"), format!("{bare}-{word}.")] {
                    assert_eq!(Organ::from_name(&name).map(Organ::side), Some(side), "{name}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(name in ".{0,80}") {
            let _ = Organ::from_name(&name);
        }

        #[test]
        fn a_word_more_is_no_match(extra in "[a-z]{3,9}") {
            let known = ["left", "right", "gland", "oar", "lt", "rt", "glnd"];
            let side = |o: Organ| o.id().ends_with("left") || o.id().ends_with("right");
            proptest::prop_assume!(!known.contains(&extra.as_str()));
            for organ in Organ::ALL.into_iter().filter(|&o| side(o) || o.side() == Side::Unpaired) {
                proptest::prop_assert_eq!(Organ::from_name(&format!("{}_{extra}", organ.id())), None);
            }
        }
    }
}
