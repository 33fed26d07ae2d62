"""Buttons that cannot be used say why, beside them."""


def allow(label, *cases):
    """Enable widgets, or disable them and have a label say why.

    Parameters
    ----------
    label : QLabel
        Of this group of widgets; hidden while all of them can be used.
    cases : pairs of widgets and str
        What stands in their way; "" where nothing does.
    """
    reasons = []
    for widgets, reason in cases:
        for widget in widgets:
            widget.enabled = not reason
        reasons.append(reason)
    label.text = " ".join(dict.fromkeys(reason for reason in reasons if reason))
    label.visible = bool(label.text)


def first(*reasons):
    """Return the first text of those whose condition holds; "" where none does.

    Parameters
    ----------
    reasons : pairs of bool and str
    """
    return next((text for holds, text in reasons if holds), "")
