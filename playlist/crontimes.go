package playlist

import "math/bits"

// CronFields are the numbers that the fields of a cron spec name, in order. A field is nil
// if it names all.
type CronFields struct {
	Second, Minute, Hour []int
	Day, Month, Weekday  []int // weekday 0 is Sunday
}

// Fields are the numbers that the spec names.
func (c Cron) Fields() (f CronFields) {
	if c.fields == nil {
		return f
	}
	return CronFields{
		Second: numbers(c.fields.Second, 60), Minute: numbers(c.fields.Minute, 60), Hour: numbers(c.fields.Hour, 24),
		Day: numbers(c.fields.Dom, 31), Month: numbers(c.fields.Month, 12), Weekday: numbers(c.fields.Dow&0x7f|c.fields.Dow&star, 7),
	}
}

// numbers are the bits that are set in a field; nil if all of its so many values are.
func numbers(field uint64, all int) (set []int) {
	if field&star != 0 {
		return nil
	}
	for ; field != 0; field &= field - 1 {
		set = append(set, bits.TrailingZeros64(field))
	}
	if len(set) == all {
		return nil
	}
	return set
}
