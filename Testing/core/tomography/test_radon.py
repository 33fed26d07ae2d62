"""The transforms against analytic projections, against scikit-image and against themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform
from spinemar.tomography.units import hu_to_mu, mu_to_hu

MU = 0.02


def _coordinates(
    shape: tuple[int, int], pixel_mm: tuple[float, float], oversampling: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    fine = [(np.arange(n * oversampling) + 0.5) / oversampling - 0.5 for n in shape]
    y = (fine[0] - (shape[0] - 1) / 2) * pixel_mm[0]
    x = (fine[1] - (shape[1] - 1) / 2) * pixel_mm[1]
    return x[None, :], y[:, None]


def _ellipse(
    shape: tuple[int, int],
    pixel_mm: tuple[float, float],
    centre: tuple[float, float],
    axes: tuple[float, float],
    tilt: float,
) -> NDArray[np.float32]:
    """Area-averaged ellipse of attenuation MU; centre (x, y), semi-axes and tilt in mm, rad."""
    s = 8
    x, y = _coordinates(shape, pixel_mm, s)
    u = (x - centre[0]) * np.cos(tilt) + (y - centre[1]) * np.sin(tilt)
    v = -(x - centre[0]) * np.sin(tilt) + (y - centre[1]) * np.cos(tilt)
    inside = (u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1.0
    return (MU * inside.reshape(shape[0], s, shape[1], s).mean((1, 3))).astype(np.float32)


def _ellipse_projection(
    geometry: SinogramGeometry,
    centre: tuple[float, float],
    axes: tuple[float, float],
    tilt: float,
) -> NDArray[np.float64]:
    angle = geometry.angles_rad[:, None]
    r = geometry.bins_mm - centre[0] * np.cos(angle) - centre[1] * np.sin(angle)
    width2 = (axes[0] * np.cos(angle - tilt)) ** 2 + (axes[1] * np.sin(angle - tilt)) ** 2
    return 2 * MU * axes[0] * axes[1] * np.sqrt(np.clip(width2 - r**2, 0.0, None)) / width2


SHAPES = [
    ((128, 128), (1.0, 1.0)),
    ((127, 128), (0.8, 0.8)),
    ((96, 160), (0.9, 0.9)),
    ((160, 96), (0.6, 1.1)),
    ((101, 99), (1.3, 0.7)),
    ((64, 64), (2.5, 2.5)),
    ((300, 300), (0.31, 0.31)),
]


@pytest.mark.parametrize(("shape", "pixel_mm"), SHAPES)
def test_projections_are_line_integrals_in_mm(
    shape: tuple[int, int], pixel_mm: tuple[float, float]
) -> None:
    half = min(shape[0] * pixel_mm[0], shape[1] * pixel_mm[1]) / 2
    centre, axes, tilt = (0.3 * half, -0.2 * half), (0.55 * half, 0.3 * half), 0.6
    transform = RadonTransform(shape, pixel_mm)
    sinogram = transform.forward(_ellipse(shape, pixel_mm, centre, axes, tilt))
    truth = _ellipse_projection(transform.geometry, centre, axes, tilt)
    assert sinogram.dtype == np.float32
    assert np.sqrt(np.mean((sinogram - truth) ** 2)) < 0.006 * truth.max()
    # Every view sees the whole object: its integral is the area, at every angle.
    mass = sinogram.sum(axis=1, dtype=float) * transform.geometry.bin_mm
    assert mass == pytest.approx(np.pi * axes[0] * axes[1] * MU, rel=2e-3)


@pytest.mark.parametrize(("shape", "pixel_mm"), SHAPES)
def test_reconstruction_inverts_analytic_projections_in_scale_and_place(
    shape: tuple[int, int], pixel_mm: tuple[float, float]
) -> None:
    half = min(shape[0] * pixel_mm[0], shape[1] * pixel_mm[1]) / 2
    centre, axes, tilt = (-0.25 * half, 0.3 * half), (0.5 * half, 0.35 * half), 1.1
    transform = RadonTransform(shape, pixel_mm)
    image = transform.fbp(_ellipse_projection(transform.geometry, centre, axes, tilt))
    small = _ellipse(shape, pixel_mm, centre, (0.8 * axes[0], 0.8 * axes[1]), tilt) > 0.99 * MU
    large = _ellipse(shape, pixel_mm, centre, (1.3 * axes[0], 1.3 * axes[1]), tilt) > 0
    assert image[small].mean() == pytest.approx(MU, rel=1e-3)
    assert abs(image[~large].mean()) < 1e-3 * MU
    x, y = _coordinates(shape, pixel_mm, 1)
    total = image[large].sum(dtype=float)
    assert (image * x)[large].sum(dtype=float) / total == pytest.approx(centre[0], abs=0.02 * half)
    assert (image * y)[large].sum(dtype=float) / total == pytest.approx(centre[1], abs=0.02 * half)


def test_centre_of_rotation_is_the_centre_of_the_image() -> None:
    for shape in ((128, 128), (127, 127), (128, 90)):
        transform = RadonTransform(shape, (1.0, 1.0))
        sinogram = transform.forward(_ellipse(shape, (1.0, 1.0), (0.0, 0.0), (20.0, 20.0), 0.0))
        centroid = sinogram @ transform.geometry.bins_mm / sinogram.sum(axis=1)
        assert np.abs(centroid).max() < 1e-3
        # A centred disc looks the same from behind: bins flip exactly.
        assert np.abs(sinogram - sinogram[:, ::-1]).max() < 2e-4 * sinogram.max()


def test_shepp_logan_agrees_with_scikit_image() -> None:
    from skimage.data import shepp_logan_phantom
    from skimage.transform import iradon, radon, rescale

    image = rescale(shepp_logan_phantom(), 0.5).astype(np.float32)[:199, :199]
    n = len(image)
    geometry = SinogramGeometry(n_views=180, n_bins=n, bin_mm=1.0)
    transform = RadonTransform(image.shape, (1.0, 1.0), geometry)
    ours = transform.forward(image)
    theirs = radon(image, theta=np.arange(180.0), circle=True).T
    # scikit-image turns the other way (rows point up) about pixel n // 2.
    theirs = theirs[::-1][np.r_[179, 0:179]]
    theirs[0] = radon(image, theta=[0.0], circle=True)[:, 0]
    theirs[1:] = theirs[1:, ::-1]
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.01 * theirs.max()
    truth_inside = np.hypot(*(np.indices(image.shape) - (n - 1) / 2)) < 0.95 * n / 2
    ours_back = transform.fbp(ours)
    theirs_back = iradon(
        radon(image, theta=np.arange(180.0)), theta=np.arange(180.0), filter_name="ramp"
    )
    error_ours = np.sqrt(np.mean((ours_back - image)[truth_inside] ** 2))
    error_theirs = np.sqrt(np.mean((theirs_back - image)[truth_inside] ** 2))
    assert error_ours < error_theirs


def test_adjoint_is_the_transpose() -> None:
    rng = np.random.default_rng(3)
    for shape, pixel_mm in (((64, 64), (1.0, 1.0)), ((45, 70), (0.7, 1.2))):
        transform = RadonTransform(shape, pixel_mm, SinogramGeometry(90, 128, 0.9))
        image = rng.standard_normal((3, *shape)).astype(np.float32)
        sinogram = rng.standard_normal((3, 90, 128)).astype(np.float32)
        left = np.vdot(transform.forward(image), sinogram)
        right = np.vdot(image, transform.adjoint(sinogram))
        size = np.linalg.norm(transform.forward(image)) * np.linalg.norm(sinogram)
        assert abs(left - right) < 1e-5 * size


@pytest.mark.parametrize("kernel", ["ram-lak", "shepp-logan", "hann"])
def test_no_kernel_shifts_the_values(kernel: str) -> None:
    transform = RadonTransform((128, 128), (2.0, 2.0))
    axes = (110.0, 80.0)
    sinogram = _ellipse_projection(transform.geometry, (0.0, 0.0), axes, 0.0)
    image = transform.fbp(sinogram, kernel=kernel)  # type: ignore[arg-type]
    inner = _ellipse((128, 128), (2.0, 2.0), (0.0, 0.0), (90.0, 60.0), 0.0) > 0.99 * MU
    assert mu_to_hu(image)[inner].mean() == pytest.approx(mu_to_hu(np.array(MU)), abs=1.0)


def test_softer_kernels_pass_less_noise() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 720, 736)).astype(np.float32)
    transform = RadonTransform((128, 128), (1.0, 1.0), SinogramGeometry(720, 736, 1.0))
    spread = [
        float(transform.fbp(noise, kernel=kernel).std())  # type: ignore[arg-type]
        for kernel in ("ram-lak", "shepp-logan", "hann")
    ]
    assert spread[0] > spread[1] > spread[2]


def test_coarse_pixels_leave_no_checkerboard() -> None:
    """Pixels larger than bins: what lies beyond their Nyquist limit must not fold back."""
    transform = RadonTransform((64, 64), (8.0, 8.0))  # bin 1 mm, pixel 8 mm
    sinogram = _ellipse_projection(transform.geometry, (3.0, 5.0), (9.0, 9.0), 0.0)
    image = transform.fbp(sinogram)
    spectrum = np.abs(np.fft.fft2(image))
    assert spectrum[32].max() < 0.01 * spectrum.max()
    assert spectrum[:, 32].max() < 0.01 * spectrum.max()
    assert image.sum() * 64.0 == pytest.approx(np.pi * 81.0 * MU, rel=0.01)


def test_a_pair_equals_two_single_transforms() -> None:
    rng = np.random.default_rng(1)
    transform = RadonTransform((50, 60), (1.0, 1.0), SinogramGeometry(60, 96, 1.0))
    a, b = rng.random((2, 3, 50, 60), dtype=np.float32)
    sino_a, sino_b = transform.forward_pair(a, 1000.0 * b)
    size = np.abs(sino_b).max()
    for k in range(3):
        # One transform carries both, so the tolerance is that of the larger one.
        assert np.abs(sino_a[k] - transform.forward(a[k])).max() < 2e-4 * size
        assert np.abs(sino_b[k] - transform.forward(1000.0 * b[k])).max() < 2e-4 * size


def test_many_threads_share_one_transform() -> None:
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(2)
    images = rng.random((12, 5, 40, 40), dtype=np.float32)
    transform = RadonTransform((40, 40), (1.0, 1.0), SinogramGeometry(40, 64, 1.0))
    alone = [transform.fbp(transform.forward(stack)) for stack in images]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda stack: transform.fbp(transform.forward(stack)), images))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), factor=st.floats(-50.0, 50.0))
def test_linear(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    transform = RadonTransform((32, 40), (1.0, 0.9), SinogramGeometry(30, 64, 0.8))
    a, b = rng.standard_normal((2, 32, 40)).astype(np.float32)
    left = transform.forward(a + np.float32(factor) * b)
    right = transform.forward(a) + np.float32(factor) * transform.forward(b)
    assert np.abs(left - right).max() < 1e-3 * (1.0 + abs(factor)) * np.abs(right).max()


@settings(max_examples=15, deadline=None)
@given(
    x=st.floats(-25.0, 25.0),
    y=st.floats(-25.0, 25.0),
    quarter=st.integers(1, 3),
)
def test_a_quarter_turn_of_the_image_shifts_the_views(x: float, y: float, quarter: int) -> None:
    views = 60
    transform = RadonTransform((80, 80), (1.0, 1.0), SinogramGeometry(views, 128, 0.9))
    image = _ellipse((80, 80), (1.0, 1.0), (x, y), (12.0, 6.0), 0.4)
    sinogram = transform.forward(image)
    # np.rot90 takes rows to columns: with rows pointing down it turns theta by -90 degrees.
    turned = transform.forward(np.rot90(image, quarter))
    whole = np.concatenate((sinogram, sinogram[:, ::-1]))  # p(theta + pi, r) = p(theta, -r)
    expected = np.roll(whole, -quarter * views // 2, axis=0)[:views]
    assert np.abs(turned - expected).max() < 5e-4 * sinogram.max()


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(2, 40), cols=st.integers(2, 40), n=st.integers(0, 3))
def test_any_matrix_and_any_number_of_slices(rows: int, cols: int, n: int) -> None:
    transform = RadonTransform((rows, cols), (1.0, 1.0), SinogramGeometry(8, 64, 1.0))
    sinogram = transform.forward(np.ones((n, rows, cols), np.float32))
    assert sinogram.shape == (n, 8, 64)
    if n:
        assert sinogram.sum(axis=2) == pytest.approx(rows * cols, rel=5e-3)
    assert transform.fbp(sinogram).shape == (n, rows, cols)


def test_bin_width_follows_the_field_of_view_not_the_matrix() -> None:
    for matrix in (256, 512, 768, 1024):
        pixel = 400.0 / matrix
        geometry = SinogramGeometry.for_image((matrix, matrix), (pixel, pixel))
        assert geometry.bin_mm == pytest.approx(400.0 / 512)
        assert geometry.shape == (720, 736)


def test_wrong_shapes_and_kernels_are_refused_in_words() -> None:
    transform = RadonTransform((20, 20), (1.0, 1.0), SinogramGeometry(10, 32, 1.0))
    with pytest.raises(GeometryError, match="20, 20"):
        transform.forward(np.zeros((3, 20, 21), np.float32))
    with pytest.raises(GeometryError, match="10, 32"):
        transform.fbp(np.zeros((10, 33), np.float32))
    with pytest.raises(GeometryError, match="paired"):
        transform.forward_pair(np.zeros((2, 20, 20)), np.zeros((3, 20, 20)))
    with pytest.raises(InputError, match="cosine"):
        transform.fbp(np.zeros((10, 32)), kernel="cosine")  # type: ignore[arg-type]
    with pytest.raises(GeometryError):
        SinogramGeometry(0, 10, 1.0)
    with pytest.raises(GeometryError):
        SinogramGeometry.for_image((512, 512), (0.0, 1.0))


def test_units_are_inverse_and_not_clipped() -> None:
    hu = np.array([-5000.0, -1000.0, 0.0, 40.0, 3071.0, 30000.0], np.float32)
    assert hu_to_mu(hu)[1] == pytest.approx(0.0, abs=1e-7)
    assert hu_to_mu(hu)[2] == pytest.approx(0.0193)
    np.testing.assert_allclose(mu_to_hu(hu_to_mu(hu)), hu, atol=0.01)


REAL_CT = Path(__file__).resolve().parents[3].parent / "shared/data/ct/crlm_1006.nii.gz"


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL_CT.exists(), reason="needs the developers' real CT data")
def test_round_trip_of_a_real_slice_costs_two_hounsfield_units() -> None:
    import SimpleITK
    from scipy import ndimage

    image = SimpleITK.ReadImage(str(REAL_CT))
    hu = SimpleITK.GetArrayFromImage(image)[25].astype(np.float32)
    spacing = image.GetSpacing()
    transform = RadonTransform(hu.shape, (spacing[1], spacing[0]))
    back = mu_to_hu(transform.fbp(transform.forward(hu_to_mu(hu))))
    labels, _ = ndimage.label(ndimage.binary_opening(hu > -300, iterations=3))
    body = ndimage.binary_fill_holes(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
    error = (back - hu)[body]
    assert np.sqrt(np.mean(error**2)) < 2.5  # measured 1.9, of which 1.7 are corner frequencies
    assert abs(error.mean()) < 0.1


@pytest.mark.parametrize("pixel_mm", [6.4, 1.6, 0.8])
def test_weights_are_zero_or_of_some_size(pixel_mm: float) -> None:
    """Products of tiny weights take processors ten times as long as others."""
    matrix = round(409.6 / pixel_mm)
    transform = RadonTransform((matrix, matrix), (pixel_mm, pixel_mm), threads=1)
    _, weights = transform._radial_lines()
    size = np.abs(weights)
    assert (size > 0).any()
    assert size[size > 0].min() > 1e-26 * size.max()


@pytest.mark.parametrize("pixel_mm", [(0.8, 0.8), (1.6, 1.1), (0.4, 0.5)])
def test_a_part_of_an_image_projects_as_the_whole_with_zeros_around(pixel_mm) -> None:
    """Also where pixels are so coarse that most frequencies weigh nothing and are left out."""
    rows, columns = slice(20, 61), slice(50, 76)
    geometry = SinogramGeometry(60, 200, 0.7)
    image = np.zeros((90, 101), dtype=np.float32)
    image[rows, columns] = np.random.default_rng(1).normal(size=(41, 26))
    middle = (
        ((rows.start + rows.stop) / 2 - 90 / 2) * pixel_mm[0],
        ((columns.start + columns.stop) / 2 - 101 / 2) * pixel_mm[1],
    )
    whole = RadonTransform(image.shape, pixel_mm, geometry, threads=1)
    part = RadonTransform((41, 26), pixel_mm, geometry, threads=1, middle_mm=middle)
    rays = whole.forward(image)
    found = part.forward(np.ascontiguousarray(image[rows, columns]))
    assert np.abs(found - rays).max() < 3e-4 * np.abs(rays).max()
    back, back_part = whole.fbp(rays), part.fbp(rays)
    assert np.abs(back_part - back[rows, columns]).max() < 3e-4 * np.abs(back).max()


@pytest.mark.parametrize("n_bins", [150, 151])
@pytest.mark.parametrize("pixel_mm", [3.0, 0.5])
def test_adjoint_where_frequencies_are_left_out(pixel_mm: float, n_bins: int) -> None:
    rng = np.random.default_rng(3)
    transform = RadonTransform((40, 33), (pixel_mm, pixel_mm), SinogramGeometry(30, n_bins, 0.9))
    x = rng.normal(size=(1, 40, 33)).astype(np.float32)
    y = rng.normal(size=(1, 30, n_bins)).astype(np.float32)
    forward, backward = transform.forward(x), transform.adjoint(y)
    scale = np.linalg.norm(forward) * np.linalg.norm(y)
    assert abs(float((forward * y).sum() - (x * backward).sum())) < 1e-4 * scale
