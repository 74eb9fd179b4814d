package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// CSVForm is the form of CSV that --csv asks for; empty: none. It is the flag's value.
type CSVForm string

const (
	CSVSheet CSVForm = "sheet" // for a person with a spreadsheet
	CSVRaw   CSVForm = "raw"   // for programs
)

// CSVFlag adds --csv to a verb.
func (a *App) CSVFlag(c *cobra.Command, form *CSVForm) {
	c.Flags().Var(form, csvFlag, a.Say("view.flag_csv"))
	c.Flags().Lookup(csvFlag).NoOptDefVal = string(CSVSheet)
}

const csvFlag = "csv"

func (f *CSVForm) String() string { return string(*f) }

// Set reads the value of the flag.
func (f *CSVForm) Set(text string) error {
	switch form := CSVForm(text); form {
	case CSVSheet, CSVRaw:
		*f = form
		return nil
	}
	return errors.New("no form of CSV")
}

// Type is what help shows behind the flag's name: the only form that need be named.
func (f *CSVForm) Type() string { return string(CSVRaw) }

// CSV writes rows that spreadsheets read as UTF-8. Text that they would take for a
// formula begins with an apostrophe.
type CSV struct {
	w     *csv.Writer
	sheet bool
}

// byteOrderMark makes Excel read a file as UTF-8.
const byteOrderMark = "\ufeff"

// NewCSV begins CSV with its first line.
func NewCSV(out io.Writer, form CSVForm, head ...string) (*CSV, error) {
	if _, err := io.WriteString(out, byteOrderMark); err != nil {
		return nil, err
	}
	w := csv.NewWriter(out)
	w.UseCRLF = true
	return &CSV{w, form == CSVSheet}, w.Write(head)
}

// Number is a cell with a figure as it is written: a spreadsheet may compute with it.
type Number string

// Add adds a row of text (string), figures ([Number], int, int64) and words for
// people ([Cell]).
func (c *CSV) Add(cells ...any) error {
	row := make([]string, len(cells))
	for i, cell := range cells {
		switch cell := cell.(type) {
		case string:
			row[i] = c.text(cell)
		case Cell:
			row[i] = c.text(cell.Text)
		default:
			row[i] = fmt.Sprint(cell)
		}
	}
	return c.w.Write(row)
}

// End writes what is still held.
func (c *CSV) End() error {
	c.w.Flush()
	return c.w.Error()
}

// looksNumeric is text of digits that a spreadsheet would not show as it is: with
// zeros in front, too long, or like a number with an exponent.
var looksNumeric = regexp.MustCompile(`^(?:0\d+|\d{12,}|\d+(?i:e)\d+)$`)

// text is a cell that stays text.
func (c *CSV) text(s string) string {
	if s == "" {
		return s
	}
	first, _ := utf8.DecodeRuneInString(s)
	switch {
	case strings.ContainsRune("=+-@\t\r", first): // programs have always had it so
		return "'" + s
	case c.sheet && (strings.ContainsRune("\n＝＋－＠", first) || looksNumeric.MatchString(s)):
		return "'" + s
	}
	return s
}

// Local is an instant for a spreadsheet, which reads it as a date and time; empty if
// it is zero.
func Local(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(time.DateTime)
}
