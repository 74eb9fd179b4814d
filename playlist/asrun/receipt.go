package asrun

// Mark names a receipt by its number in an epoch; as how far the county has an
// epoch, it means every receipt up to Seq. The zero Mark is before the first.
type Mark struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
}

// Receipt (回执) is a row on its way to the county. Row.Seq is its number: within an
// epoch the numbers count from 1 without a gap.
type Receipt struct {
	Row Row `json:"row"`

	// Corrects names an earlier receipt that this one corrects: its clock was
	// repaired later. The earlier one stays as it is.
	Corrects *Mark `json:"corrects,omitempty"`
}
