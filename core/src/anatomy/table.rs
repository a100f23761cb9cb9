//! The rows of the organ table.
//!
//! TG-263 names: Mayo et al., "AAPM Task Group 263: Standardizing nomenclatures in radiation oncology" (2018), primary
//! names, with these choices where its list has no exact counterpart of the paper's organ:
//! - *Constrictor naris*: the paper's word. What planners outline, and what TG-263 lists, is the pharyngeal constrictor,
//!   `Musc_Constrict`. The concept stays without a SNOMED code, as the word may also mean a muscle of the nose.
//! - *Ear*: TG-263 lists only `Ear_External`, `Ear_Middle` and `Ear_Internal`, and the paper does not say which; `Ear_L`
//!   and `Ear_R` follow the rules of the list and claim no more than is known.
//! - *Sublingual gland*: one label for both, hence the plural `Glnd_Sublings`.
//!
//! SNOMED CT codes are those of the anatomical structure without side, as in DICOM PS3.16 and in the TG-263 to SNOMED CT
//! map of the HL7 CodeX radiation therapy guide.

use super::ORGAN_COUNT;
use super::Organ::{self, *};
use super::Region::{self, *};
use super::Side::{self, *};

pub(super) struct Row {
    organ: Organ,
    pub id: &'static str,
    pub name: &'static str,
    pub tg263: &'static str,
    pub snomed: Option<(&'static str, &'static str)>,
    pub side: Side,
    pub regions: &'static [Region],
}

const HEAD: &[Region] = &[Head];

const fn row(
    organ: Organ,
    id: &'static str,
    name: &'static str,
    tg263: &'static str,
    snomed: Option<(&'static str, &'static str)>,
    side: Side,
    regions: &'static [Region],
) -> Row {
    Row { organ, id, name, tg263, snomed, side, regions }
}

const EAR: Option<(&str, &str)> = Some(("117590005", "Ear"));
const EYE: Option<(&str, &str)> = Some(("81745001", "Eye"));
const PAROTID: Option<(&str, &str)> = Some(("45289007", "Parotid gland"));
const SUBMANDIBULAR: Option<(&str, &str)> = Some(("385296007", "Submandibular gland"));
const TEMPORAL_LOBE: Option<(&str, &str)> = Some(("78277001", "Temporal lobe"));
const TMJ: Option<(&str, &str)> = Some(("53620006", "Temporomandibular joint"));
const LUNG: Option<(&str, &str)> = Some(("39607008", "Lung"));
const KIDNEY: Option<(&str, &str)> = Some(("64033007", "Kidney"));

// The heart lies on the diaphragm beside the liver dome and the lungs reach down behind the liver: both go on into the
// upper abdomen. The cord ends at L1-L2, the height of the kidneys' middle. The carina is about as high as the heart's top.
const CORD: &[Region] = &[Head, UpperChest, Chest, UpperAbdomen];
const TRACHEA: &[Region] = &[Head, UpperChest, Chest];
const HEART: &[Region] = &[Chest, UpperAbdomen];
const LUNGS: &[Region] = &[UpperChest, Chest, UpperAbdomen];
const GULLET: &[Region] = &[Head, UpperChest, Chest, UpperAbdomen];
const BELLY: &[Region] = &[UpperAbdomen, Abdomen];

#[rustfmt::skip] // a table is read in columns
pub(super) static ROWS: [Row; ORGAN_COUNT] = [
    row(BrainStem, "brain_stem", "Brain stem", "Brainstem", Some(("15926001", "Brainstem")), Midline, HEAD),
    row(ConstrictorNaris, "constrictor_naris", "Constrictor naris", "Musc_Constrict", None, Midline, HEAD),
    row(EarLeft, "ear_left", "Ear left", "Ear_L", EAR, Left, HEAD),
    row(EarRight, "ear_right", "Ear right", "Ear_R", EAR, Right, HEAD),
    row(EyeLeft, "eye_left", "Eye left", "Eye_L", EYE, Left, HEAD),
    row(EyeRight, "eye_right", "Eye right", "Eye_R", EYE, Right, HEAD),
    row(Hypophysis, "hypophysis", "Hypophysis", "Pituitary", Some(("56329008", "Pituitary gland")), Midline, HEAD),
    row(Larynx, "larynx", "Larynx", "Larynx", Some(("4596009", "Larynx")), Midline, HEAD),
    row(Mandible, "mandible", "Mandible", "Bone_Mandible", Some(("91609006", "Mandible")), Midline, HEAD),
    row(OralCavity, "oral_cavity", "Oral cavity", "Cavity_Oral", Some(("74262004", "Oral cavity")), Midline, HEAD),
    row(ParotidLeft, "parotid_left", "Parotid left", "Parotid_L", PAROTID, Left, HEAD),
    row(ParotidRight, "parotid_right", "Parotid right", "Parotid_R", PAROTID, Right, HEAD),
    row(SubmandibularGlandLeft, "submandibular_gland_left", "Submandibular gland left", "Glnd_Submand_L", SUBMANDIBULAR, Left, HEAD),
    row(SubmandibularGlandRight, "submandibular_gland_right", "Submandibular gland right", "Glnd_Submand_R", SUBMANDIBULAR, Right, HEAD),
    row(SpinalCord, "spinal_cord", "Spinal cord", "SpinalCord", Some(("2748008", "Spinal cord")), Midline, CORD),
    row(SublingualGland, "sublingual_gland", "Sublingual gland", "Glnd_Sublings", Some(("88481005", "Sublingual gland")), Midline, HEAD),
    row(TemporalLobeLeft, "temporal_lobe_left", "Temporal lobe left", "Lobe_Temporal_L", TEMPORAL_LOBE, Left, HEAD),
    row(TemporalLobeRight, "temporal_lobe_right", "Temporal lobe right", "Lobe_Temporal_R", TEMPORAL_LOBE, Right, HEAD),
    row(TmjLeft, "tmj_left", "TMJ left", "Joint_TM_L", TMJ, Left, HEAD),
    row(TmjRight, "tmj_right", "TMJ right", "Joint_TM_R", TMJ, Right, HEAD),
    row(Trachea, "trachea", "Trachea", "Trachea", Some(("44567001", "Trachea")), Midline, TRACHEA),
    row(Heart, "heart", "Heart", "Heart", Some(("80891009", "Heart")), Unpaired, HEART),
    row(LungLeft, "lung_left", "Lung left", "Lung_L", LUNG, Left, LUNGS),
    row(LungRight, "lung_right", "Lung right", "Lung_R", LUNG, Right, LUNGS),
    row(Esophagus, "esophagus", "Esophagus", "Esophagus", Some(("32849002", "Esophagus")), Midline, GULLET),
    row(Gallbladder, "gallbladder", "Gallbladder", "Gallbladder", Some(("28231008", "Gallbladder")), Unpaired, BELLY),
    row(KidneyLeft, "kidney_left", "Kidney left", "Kidney_L", KIDNEY, Left, BELLY),
    row(KidneyRight, "kidney_right", "Kidney right", "Kidney_R", KIDNEY, Right, BELLY),
    row(BowelBag, "bowel_bag", "Bowel bag", "Bag_Bowel", None, Unpaired, BELLY),
    row(Liver, "liver", "Liver", "Liver", Some(("10200004", "Liver")), Unpaired, BELLY),
    row(Pancreas, "pancreas", "Pancreas", "Pancreas", Some(("15776009", "Pancreas")), Unpaired, BELLY),
    row(Spleen, "spleen", "Spleen", "Spleen", Some(("78961009", "Spleen")), Unpaired, BELLY),
    row(Stomach, "stomach", "Stomach", "Stomach", Some(("69695003", "Stomach")), Unpaired, BELLY),
];

/// The organs in table order; does not compile if a row stands in the wrong place.
pub(super) const fn order() -> [Organ; ORGAN_COUNT] {
    let mut all = [BrainStem; ORGAN_COUNT];
    let mut n = 0;
    while n < ORGAN_COUNT {
        assert!(ROWS[n].organ as usize == n + 1, "a row of the organ table stands in the wrong place");
        all[n] = ROWS[n].organ;
        n += 1;
    }
    all
}
