//! The organ table, and what it tells of an organ.
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

use super::organ::{ORGAN_COUNT, Organ, Organ::*, Side, Side::*, SnomedCode};
use super::region::{REGION_COUNT, Region, Region::*};

struct Row {
    organ: Organ,
    id: &'static str,
    name: &'static str,
    tg263: &'static str,
    snomed: Option<(&'static str, &'static str)>,
    side: Side,
    regions: &'static [Region],
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
static ROWS: [Row; ORGAN_COUNT] = [
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
const fn order() -> [Organ; ORGAN_COUNT] {
    let mut all = [BrainStem; ORGAN_COUNT];
    let mut n = 0;
    while n < ORGAN_COUNT {
        assert!(ROWS[n].organ as usize == n + 1, "a row of the organ table stands in the wrong place");
        all[n] = ROWS[n].organ;
        n += 1;
    }
    all
}

impl Organ {
    /// All organs in the order of their labels.
    pub const ALL: [Self; ORGAN_COUNT] = order();

    fn row(self) -> &'static Row {
        &ROWS[self.index()]
    }

    /// The label in label maps, 1..=33.
    pub fn label(self) -> u8 {
        self as u8
    }

    /// Position in [`ALL`](Organ::ALL) and in attention vectors, 0..33: the label less one.
    pub fn index(self) -> usize {
        self as usize - 1
    }

    /// The organ with this label; `None` for background (0) and beyond 33.
    pub fn from_label(label: u8) -> Option<Self> {
        Self::from_index(usize::from(label).checked_sub(1)?)
    }

    /// The organ at a position of [`ALL`](Organ::ALL).
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Key in files and on the command line: `brain_stem`, `parotid_left`...
    pub fn id(self) -> &'static str {
        self.row().id
    }

    /// The organ with exactly this key. For what foreign files call organs, see [`from_name`](Organ::from_name).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|organ| organ.id() == id)
    }

    /// The paper's name, for people: "Brain stem", "Parotid left"...
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Primary name of AAPM TG-263, for RTSTRUCT: `Brainstem`, `Parotid_L`... (`table.rs` tells the choices made).
    pub fn tg263(self) -> &'static str {
        self.row().tg263
    }

    /// SNOMED CT code of the structure without its side; the side is the modifier [`Side::snomed`], as DICOM segment
    /// descriptions want it (PS3.3 C.8.20.2). `None` where no concept certainly means this organ.
    pub fn snomed(self) -> Option<SnomedCode> {
        self.row().snomed.map(|(value, meaning)| SnomedCode { value, meaning })
    }

    /// Side of the patient.
    pub fn side(self) -> Side {
        self.row().side
    }

    /// The same organ on the other side; `None` for single organs.
    pub fn mirror(self) -> Option<Self> {
        // In the order of the table the right one of each pair follows the left one.
        match self.side() {
            Side::Left => Self::from_index(self.index() + 1),
            Side::Right => Self::from_index(self.index() - 1),
            Side::Midline | Side::Unpaired => None,
        }
    }

    /// The regions in which this organ is found, from the head down.
    pub fn regions(self) -> &'static [Region] {
        self.row().regions
    }

    /// Whether a slice of this region can show the organ, by the strict table.
    pub fn can_occur_in(self, region: Region) -> bool {
        self.regions().contains(&region)
    }

    /// The strict table widened by one neighbouring region at either end, by region index.
    ///
    /// Derived landmarks and unusual patients shift a boundary; calling a voxel "certainly not this organ" is safe only
    /// a whole region away.
    pub fn possible_regions_widened(self) -> [bool; REGION_COUNT] {
        std::array::from_fn(|r| {
            let near = r.saturating_sub(1)..=(r + 1).min(REGION_COUNT - 1);
            self.regions().iter().any(|region| near.contains(&region.index()))
        })
    }

    /// Whether the organ continues beyond where contours of it usually end (cord, esophagus, trachea, bowel bag).
    ///
    /// Outside the annotated z-extent of a case such an organ is unknown, not absent.
    pub fn extends_beyond_contour(self) -> bool {
        matches!(self, Self::SpinalCord | Self::Esophagus | Self::Trachea | Self::BowelBag)
    }
}
