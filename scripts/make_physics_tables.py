"""Make the shipped attenuation and spectrum tables of `spinemar.physics`.

Run once, with the packages of the `physics-tables` extra (xraydb, spekpy):

    python scripts/make_physics_tables.py

It writes `spinemar/physics/data/{attenuation.csv, spectra.csv, tables.json}`. The tables are in
the repository, so that nobody needs xraydb or spekpy to run the simulator.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "spinemar" / "physics" / "data"
ENERGIES_KEV = np.arange(10, 151)
TUBE_VOLTAGES = (80, 100, 120, 140)
ANODE_ANGLE_DEG = 10.0
FILTRATION_MM = {"Al": 3.0, "Ti": 0.9}

ICRU44 = "ICRU Report 44 (1989)"
ICRU46 = "ICRU Report 46 (1992)"

# Mass fractions in per cent; the remainder after rounding is scaled away below.
MATERIALS: dict[str, dict[str, object]] = {
    "air": {
        "density_g_cm3": 0.001205,
        "mass_percent": {"C": 0.01, "N": 75.53, "O": 23.18, "Ar": 1.28},
        "source": "NIST, dry air near sea level, 20 C",
    },
    "water": {
        "density_g_cm3": 1.000,
        "mass_percent": {"H": 11.19, "O": 88.81},
        "source": "NIST, liquid water",
    },
    "soft_tissue": {
        "density_g_cm3": 1.06,
        "mass_percent": {
            "H": 10.2, "C": 14.3, "N": 3.4, "O": 70.8, "Na": 0.2, "P": 0.3, "S": 0.3, "Cl": 0.2,
            "K": 0.3,
        },
        "source": ICRU44 + ", soft tissue",
    },
    "adipose": {
        "density_g_cm3": 0.95,
        "mass_percent": {
            "H": 11.4, "C": 59.8, "N": 0.7, "O": 27.8, "Na": 0.1, "S": 0.1, "Cl": 0.1,
        },
        "source": ICRU44 + ", adipose tissue",
    },
    "cortical_bone": {
        "density_g_cm3": 1.92,
        "mass_percent": {
            "H": 3.4, "C": 15.5, "N": 4.2, "O": 43.5, "Na": 0.1, "Mg": 0.2, "P": 10.3, "S": 0.3,
            "Ca": 22.5,
        },
        "source": ICRU44 + ", cortical bone",
    },
    "trabecular_bone": {
        "density_g_cm3": 1.18,
        "mass_percent": {
            "H": 8.5, "C": 40.4, "N": 2.8, "O": 36.7, "Na": 0.1, "Mg": 0.1, "P": 3.4, "S": 0.2,
            "Cl": 0.2, "K": 0.1, "Ca": 7.4, "Fe": 0.1,
        },
        "source": ICRU46 + ", spongiosa",
    },
    "Ti": {
        "density_g_cm3": 4.51,
        "mass_percent": {"Ti": 100.0},
        "source": "ISO 5832-2, commercially pure titanium",
    },
    "Ti-6Al-4V": {
        "density_g_cm3": 4.43,
        "mass_percent": {"Ti": 89.8, "Al": 6.0, "V": 4.0, "Fe": 0.2},
        "source": "ASTM F136 / ISO 5832-3, middle of the ranges",
    },
    "316L": {
        "density_g_cm3": 7.95,
        "mass_percent": {
            "Fe": 62.7, "Cr": 18.0, "Ni": 14.0, "Mo": 2.7, "Mn": 1.8, "Si": 0.6, "Cu": 0.2,
        },
        "source": "ASTM F138 / ISO 5832-1, middle of the ranges",
    },
    "CoCrMo": {
        "density_g_cm3": 8.28,
        "mass_percent": {
            "Co": 64.4, "Cr": 28.0, "Mo": 6.0, "Ni": 0.2, "Mn": 0.7, "Si": 0.5, "C": 0.2,
        },
        "source": "ASTM F1537 / ISO 5832-12, middle of the ranges",
    },
    "PEEK": {
        "density_g_cm3": 1.30,
        "mass_percent": {"C": 79.15, "H": 4.20, "O": 16.65},
        "source": "ASTM F2026, poly-ether-ether-ketone (C19H12O3)",
    },
    "CF-PEEK": {
        "density_g_cm3": 1.55,
        "mass_percent": {"C": 91.66, "H": 1.68, "O": 6.66},
        "source": "60 % by mass of continuous carbon fibre (1.78 g/cm3) in PEEK (ASTM F2026), "
        "rule of mixtures",
    },
    "PMMA-BaSO4": {
        "density_g_cm3": 1.37,
        "mass_percent": {"C": 48.77, "H": 6.55, "O": 31.11, "S": 2.57, "Ba": 11.0},
        "source": "acrylic cement for vertebral augmentation, 30 % BaSO4 in the powder, 11 % Ba "
        "when set (Lewis et al., J Biomed Mater Res A 2007); density by the rule of mixtures "
        "(PMMA 1.18, BaSO4 4.50)",
    },
    "Ta": {
        "density_g_cm3": 16.65,
        "mass_percent": {"Ta": 100.0},
        "source": "ASTM F560 / ISO 13782, unalloyed tantalum",
    },
    "Fe": {
        "density_g_cm3": 7.874,
        "mass_percent": {"Fe": 100.0},
        "source": "element, to check the tables against DESIGN figures",
    },
    "Co": {
        "density_g_cm3": 8.90,
        "mass_percent": {"Co": 100.0},
        "source": "element, to check the tables against DESIGN figures",
    },
    "aluminium": {
        "density_g_cm3": 2.699,
        "mass_percent": {"Al": 100.0},
        "source": "element; the bowtie filter",
    },
    "Gd2O2S": {
        "density_g_cm3": 7.32,
        "mass_percent": {"Gd": 83.08, "O": 8.45, "S": 8.47},
        "source": "gadolinium oxysulphide ceramic; the detector's scintillator",
    },
}  # fmt: skip


def mass_attenuation(mass_percent: dict[str, float]) -> np.ndarray:
    """Total mass attenuation (with coherent scatter) in cm2/g on `ENERGIES_KEV`."""
    import xraydb

    total = sum(mass_percent.values())
    return sum(
        share / total * xraydb.mu_elam(element, ENERGIES_KEV * 1e3, kind="total")
        for element, share in mass_percent.items()
    )


def tube_spectrum(kvp: int) -> tuple[np.ndarray, dict[str, float]]:
    """Photons per keV bin around `ENERGIES_KEV`, sum 1, and the beam's quality."""
    import spekpy

    beam = spekpy.Spek(kvp=kvp, th=ANODE_ANGLE_DEG, dk=0.5, z=100, mas=1)
    beam.multi_filter(list(FILTRATION_MM.items()))
    centres, per_kev = beam.get_spectrum(edges=False)
    bins = np.arange(ENERGIES_KEV[0] - 0.5, ENERGIES_KEV[-1] + 1.0)
    photons, _ = np.histogram(centres, bins=bins, weights=per_kev * 0.5)
    quality = {
        "hvl_mm_al": round(float(beam.get_hvl1()), 3),
        "mean_energy_kev": round(float(beam.get_emean()), 2),
        "photons_per_mas_cm2_at_1m": round(float(beam.get_flu()), -3),
    }
    return photons / photons.sum(), quality


def write_table(path: Path, columns: dict[str, np.ndarray], digits: int) -> None:
    """Write columns by energy as CSV, one row per keV."""
    lines = ["energy_kev," + ",".join(columns)]
    for row, energy in enumerate(ENERGIES_KEV):
        values = (f"{column[row]:.{digits}g}" for column in columns.values())
        lines.append(f"{energy}," + ",".join(values))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write the three files."""
    DATA.mkdir(parents=True, exist_ok=True)
    attenuation = {
        name: mass_attenuation(facts["mass_percent"])  # type: ignore[arg-type]
        for name, facts in MATERIALS.items()
    }
    write_table(DATA / "attenuation.csv", attenuation, digits=6)
    spectra = {kvp: tube_spectrum(kvp) for kvp in TUBE_VOLTAGES}
    write_table(
        DATA / "spectra.csv", {str(kvp): table for kvp, (table, _) in spectra.items()}, digits=6
    )
    recipe = {
        "materials": MATERIALS,
        "attenuation": {
            "unit": "cm2/g, total with coherent scatter",
            "source": f"xraydb {version('xraydb')}, mu_elam(kind='total') (Elam 2002)",
        },
        "spectra": {
            "unit": "share of photons per 1 keV bin centred on the energy, sum 1",
            "source": f"spekpy {version('spekpy')} (Poludniowski et al. 2021), tungsten anode",
            "anode_angle_deg": ANODE_ANGLE_DEG,
            "filtration_mm": FILTRATION_MM,
            "quality": {str(kvp): quality for kvp, (_, quality) in spectra.items()},
        },
    }
    text = json.dumps(recipe, indent=1, ensure_ascii=False)
    (DATA / "tables.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
