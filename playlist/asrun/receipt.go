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

// Batch is the next receipts of an epoch for the county, with consecutive numbers.
type Batch struct {
	Epoch string

	// Gone is the number of the receipt before the first of these, if the store no
	// longer has it; else the number before the first receipt of the epoch that the
	// store still has, acknowledged or not.
	Gone int64

	Receipts []Receipt // empty: there is nothing to send
}
