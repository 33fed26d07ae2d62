"""Raw data of scanners: fan beams and helices, their files, and rebinning."""
