package alert

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"dalaba/playlist"
)

// Package is an EBD ready to send.
type Package struct {
	Name string // EBDT_<id>.tar
	Tar  []byte
}

// Sign says how a package is signed: by which signer, and with which counter, which
// must be higher than all that were used with the signer's certificate before. The
// zero value leaves the package unsigned.
type Sign struct {
	By      *Signer
	Counter uint32
}

// EBDID returns the ID of a package, made of its sender and a number that the sender
// chooses [D: two digits for the kind, the EBRID, 16 digits; which digits mean which
// kind is not known, 10 is used in practice [R]].
func EBDID(ebrid string, sequence uint64) string { return fmt.Sprintf("10%s%016d", ebrid, sequence) }

// The elements of a package as they are written, in the order of the draft.
type (
	ebdXML struct {
		XMLName xml.Name  `xml:"EBD"`
		Version string    `xml:"EBDVersion"`
		ID      string    `xml:"EBDID"`
		Type    string    `xml:"EBDType"`
		From    sourceXML `xml:"SRC"`
		To      *idXML    `xml:"DEST"`
		Time    string    `xml:"EBDTime"`
		Related string    `xml:"RelatedEBD>EBDID,omitempty"`

		Response  *responseXML  `xml:"EBDResponse"`
		State     *stateXML     `xml:"EBMStateResponse"`
		Heartbeat *heartbeatXML `xml:"ConnectionCheck"`
	}
	sourceXML struct {
		ID  string `xml:"EBRID"`
		URL string `xml:"URL,omitempty"`
	}
	idXML struct {
		ID string `xml:"EBRID"`
	}
	responseXML struct {
		Code int    `xml:"ResultCode"`
		Desc string `xml:"ResultDesc"`
	}
	heartbeatXML struct {
		Time string `xml:"RptTime"`
	}
	stateXML struct {
		Time     string       `xml:"RptTime"`
		EBMID    string       `xml:"EBM>EBMID"`
		Code     int          `xml:"BrdStateCode"`
		Desc     string       `xml:"BrdStateDesc"`
		Coverage *coverageXML `xml:"Coverage"`
		Items    *itemsXML    `xml:"ResBrdInfo"`
	}
	coverageXML struct {
		Rate  string `xml:"CoverageRate"`
		Areas string `xml:"AreaCode"`
		Stat  string `xml:"ResBrdStat"`
	}
	itemsXML struct {
		Items []itemXML `xml:"ResBrdItem"`
	}
	itemXML struct {
		Platform *idXML    `xml:"EBRPS"`
		Station  *idXML    `xml:"EBRST"`
		Adapter  *idXML    `xml:"EBRAS"`
		Device   deviceXML `xml:"EBRBS"`
	}
	deviceXML struct {
		Time  string `xml:"RptTime"`
		Info  string `xml:"BrdSysInfo"`
		Start string `xml:"StartTime"`
		End   string `xml:"EndTime"`
		File  string `xml:"FileURL"`
		Code  int    `xml:"BrdStateCode"`
		Desc  string `xml:"BrdStateDesc"`
	}
)

func marshal(v any) ([]byte, error) {
	body, err := xml.Marshal(v)
	return append([]byte(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n"), body...), err
}

// pack writes a package and signs it. It ignores the head's Version and Type.
func pack(h EBD, kind Kind, fill func(*ebdXML), s Sign) (Package, error) {
	e := ebdXML{
		Version: "1.0", ID: h.ID, Type: string(kind), From: sourceXML{h.From, h.FromURL}, Time: chinaTime(h.Time), Related: h.Related,
	}
	if h.To != "" {
		e.To = &idXML{h.To}
	}
	fill(&e)
	body, err := marshal(e)
	if err != nil {
		return Package{}, err
	}
	members := []member{{"EBDB_" + h.ID + ".xml", body}}
	if s.By != nil {
		signature, err := s.By.Sign(body, h.ID, h.Time, s.Counter)
		if err != nil {
			return Package{}, err
		}
		members = append(members, member{"EBDS_EBDB_" + h.ID + ".xml", signature})
	}
	out, err := writeTar(h.Time, members...)
	return Package{"EBDT_" + h.ID + ".tar", out}, err
}

// Respond writes the EBDResponse that a receiver returns on the connection of a
// package. h.Related is the EBDID of that package.
func Respond(h EBD, r Result, s Sign) (Package, error) {
	return pack(h, KindResponse, func(e *ebdXML) { e.Response = &responseXML{int(r.Code), r.Desc} }, s)
}

// Heartbeat writes a ConnectionCheck.
func Heartbeat(h EBD, s Sign) (Package, error) {
	return pack(h, KindHeartbeat, func(e *ebdXML) { e.Heartbeat = &heartbeatXML{chinaTime(h.Time)} }, s)
}

// ReportState writes an EBMStateResponse with the figures of state.
// CoverageRate is written as a share of 1, to four digits [R].
func ReportState(h EBD, state State, s Sign) (Package, error) {
	x := stateXML{Time: chinaTime(state.At), EBMID: string(state.EBM), Code: int(state.Code), Desc: state.Desc}
	if c := state.Coverage; c != nil {
		if !(c.Rate >= 0 && c.Rate <= 1) {
			return Package{}, fmt.Errorf("%w: a coverage rate of %v", playlist.ErrInvalid, c.Rate)
		}
		var stat [4]string
		for i, n := range c.Stat {
			stat[i] = strconv.Itoa(n)
		}
		x.Coverage = &coverageXML{strconv.FormatFloat(c.Rate, 'f', 4, 64), joined(c.Areas), strings.Join(stat[:], ",")}
	}
	if len(state.Items) > 0 {
		x.Items = &itemsXML{}
	}
	id := func(s string) *idXML {
		if s == "" {
			return nil
		}
		return &idXML{s}
	}
	for _, i := range state.Items {
		x.Items.Items = append(x.Items.Items, itemXML{
			Platform: id(i.Platform), Station: id(i.Station), Adapter: id(i.Adapter),
			Device: deviceXML{chinaTime(i.At), i.Device, chinaTime(i.Start), chinaTime(i.End), i.File, int(i.Code), i.Desc},
		})
	}
	return pack(h, KindStateResponse, func(e *ebdXML) { e.State = &x }, s)
}

func joined(areas []playlist.Area) string {
	all := make([]string, len(areas))
	for i, a := range areas {
		all[i] = string(a)
	}
	return strings.Join(all, ",")
}
