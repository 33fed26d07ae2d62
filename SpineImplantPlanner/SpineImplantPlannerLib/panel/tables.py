"""Small helpers for tables and choices in the panel."""

import qt

from spinemar.planning.report.colours import ink_on


def prepare(table, headings):
    """Give a table its headings; rows are as tall as their text, chosen whole, not edited."""
    table.setColumnCount(len(headings))
    table.setHorizontalHeaderLabels(headings)
    table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
    table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
    table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    table.resizeColumnsToContents()


def fill(table, rows, colours=None):
    """Fill a table with rows of text; `colours` maps (row, column) to red, green, blue of 0-1."""
    table.setRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            setCell(table, row, column, text, (colours or {}).get((row, column)))
    table.resizeColumnsToContents()


def setCell(table, row, column, text, colour=None):
    """Set one cell; only what differs is touched."""
    item = table.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem(text)
        table.setItem(row, column, item)
    elif item.text() != text:
        item.setText(text)
    if colour is not None:
        red, green, blue = (round(255 * part) for part in colour)
        item.setBackground(qt.QBrush(qt.QColor(red, green, blue)))
        ink = [round(255 * part) for part in ink_on(colour)]
        item.setForeground(qt.QBrush(qt.QColor(*ink)))
    else:
        item.setBackground(qt.QBrush())
        item.setForeground(qt.QBrush())


def choices(combo, texts, current=None):
    """Fill a combo box without a signal; the present choice stays where it is still there."""
    texts = [str(text) for text in texts]
    wanted = combo.currentText if current is None else str(current)
    combo.blockSignals(True)
    if [combo.itemText(n) for n in range(combo.count)] != texts:
        combo.clear()
        for text in texts:
            combo.addItem(text)
    if wanted in texts:
        combo.setCurrentIndex(texts.index(wanted))
    combo.blockSignals(False)


def setValue(spinBox, value):
    """Set a number without a signal."""
    spinBox.blockSignals(True)
    spinBox.value = value
    spinBox.blockSignals(False)
