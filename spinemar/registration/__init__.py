"""Where the same patient's anatomy lies in two CTs: rigid motions of vertebrae, soft tissue."""

from spinemar.registration.motions import Registration, VertebraMotion
from spinemar.registration.motions_json import registration_from_json, registration_to_json

__all__ = ["Registration", "VertebraMotion", "registration_from_json", "registration_to_json"]
