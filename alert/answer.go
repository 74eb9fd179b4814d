package alert

import (
	"crypto/sha1" // what EBD declares
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// Package is an EBD ready to send.
type Package struct {
	Name string // EBDT_<id>.tar
	Tar  []byte
}

// Sign is who signs a package, and with which counter: above every one that the
// signer's certificate has used. The zero value leaves it unsigned.
type Sign struct {
	By      *Signer
	Counter uint32
}

// EBDID names a package by its sender and a number of the sender's own [D: two
// digits of kind, the EBRID, 16 digits; which digits stand for which kind is
// not known, 10 is what the field shows [R]].
func EBDID(ebrid string, sequence uint64) string { return fmt.Sprintf("10%s%016d", ebrid, sequence) }

// EBMID names a message by its sender, the day in China and that day's number [D].
func EBMID(ebrid string, day time.Time, number int) string {
	return fmt.Sprintf("%s%s%04d", ebrid, day.In(china).Format("20060102"), number)
}

// The elements of a package as they are written. Their order is the draft's.
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

		EBM       *ebmXML       `xml:"EBM"`
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
	ebmXML struct {
		Version string      `xml:"EBMVersion"`
		ID      string      `xml:"EBMID"`
		Related *relatedXML `xml:"RelatedInfo"`
		Basic   basicXML    `xml:"MsgBasicInfo"`
		Content *contentXML `xml:"MsgContent"`
	}
	relatedXML struct {
		EBMID string `xml:"EBMID"`
		EBIID string `xml:"EBIID,omitempty"`
	}
	basicXML struct {
		Type       string `xml:"MsgType"`
		SenderName string `xml:"SenderName"`
		SenderCode string `xml:"SenderCode"`
		Sent       string `xml:"SentTime"`
		Event      string `xml:"EventType"`
		Severity   string `xml:"Severity"`
		Start      string `xml:"StartTime"`
		End        string `xml:"EndTime"`
	}
	contentXML struct {
		Language  string         `xml:"LanguageCode"`
		Title     string         `xml:"MsgTitle"`
		Desc      string         `xml:"MsgDesc"`
		Areas     string         `xml:"AreaCode"`
		Auxiliary []auxiliaryXML `xml:"Auxiliary"`
	}
	auxiliaryXML struct {
		Type   string `xml:"AuxiliaryType"`
		Desc   string `xml:"AuxiliaryDesc"`
		Size   string `xml:"Size"`
		Digest string `xml:"Digest"`
	}
)

func marshal(v any) ([]byte, error) {
	body, err := xml.Marshal(v)
	return append([]byte(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n"), body...), err
}

// pack writes a package. The head's Version and Type are its own.
func pack(h EBD, kind Kind, fill func(*ebdXML), s Sign, sounds ...member) (Package, error) {
	e := ebdXML{
		Version: "1.0", ID: h.ID, Type: string(kind), From: sourceXML{h.From, h.FromURL}, Time: local(h.Time), Related: h.Related,
	}
	if h.To != "" {
		e.To = &idXML{h.To}
	}
	fill(&e)
	body, err := marshal(e)
	if err != nil {
		return Package{}, err
	}
	members := append([]member{{"EBDB_" + h.ID + ".xml", body}}, sounds...)
	if s.By != nil {
		signature, err := s.By.sign(body, h.ID, h.Time, s.Counter)
		if err != nil {
			return Package{}, err
		}
		members = append(members, member{"EBDS_EBDB_" + h.ID + ".xml", signature})
	}
	out, err := writeTar(h.Time, members...)
	return Package{"EBDT_" + h.ID + ".tar", out}, err
}

// Respond writes the EBDResponse that answers a package on its connection:
// h.Related is that package's EBDID.
func Respond(h EBD, r Result, s Sign) (Package, error) {
	return pack(h, KindResponse, func(e *ebdXML) { e.Response = &responseXML{int(r.Code), r.Desc} }, s)
}

// Heartbeat writes a ConnectionCheck.
func Heartbeat(h EBD, s Sign) (Package, error) {
	return pack(h, KindHeartbeat, func(e *ebdXML) { e.Heartbeat = &heartbeatXML{local(h.Time)} }, s)
}

// ReportState writes an EBMStateResponse of the figures that it is given.
// CoverageRate is written as a share of 1, to four digits [R].
func ReportState(h EBD, state State, s Sign) (Package, error) {
	x := stateXML{Time: local(state.At), EBMID: string(state.EBM), Code: int(state.Code), Desc: state.Desc}
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
			Device: deviceXML{local(i.At), i.Device, local(i.Start), local(i.End), i.File, int(i.Code), i.Desc},
		})
	}
	return pack(h, KindStateResponse, func(e *ebdXML) { e.State = &x }, s)
}

// Request writes an alert as an EBM: a county hands on what it was handed, or
// what an operator typed. Sounds travel with it where the alert has their data.
func Request(h EBD, a emergency.Alert, s Sign) (Package, error) {
	x := ebmXML{Version: "1.0", ID: string(a.ID), Basic: basicXML{
		Type: "1", SenderName: a.SenderName, SenderCode: a.Sender, Sent: local(a.Sent), Event: a.EventCode,
		Severity: severityOf(a), Start: local(a.NotBefore), End: local(a.NotAfter),
	}}
	if a.Kind == emergency.KindCancel {
		x.Basic.Type = "2"
	}
	if len(a.Refs) > 0 {
		x.Related = &relatedXML{EBMID: string(a.Refs[0])}
	}
	var sounds []member
	content := contentXML{Language: "zho", Areas: joined(a.Areas)}
	if text, ok := a.Text("zh"); ok {
		content.Title, content.Desc = text.Title, text.Text
		if !strings.HasPrefix(strings.ToLower(text.Language), "zh") {
			content.Language = text.Language
		}
	}
	for _, audio := range a.Audio {
		if len(audio.Data) == 0 {
			continue
		}
		name, kind := audio.Name, "2"
		if audio.MediaType == "audio/wav" || audio.MediaType == "audio/x-wav" {
			kind = "3"
		}
		if !strings.HasPrefix(name, "EBDR_") {
			name = "EBDR_" + name
		}
		sum := sha1.Sum(audio.Data)
		content.Auxiliary = append(content.Auxiliary, auxiliaryXML{kind, name, strconv.Itoa(len(audio.Data)), hex.EncodeToString(sum[:])})
		sounds = append(sounds, member{name, audio.Data})
	}
	if a.Kind != emergency.KindCancel || content.Areas != "" {
		x.Content = &content
	}
	return pack(h, KindEBM, func(e *ebdXML) { e.EBM = &x }, s, sounds...)
}

// severityOf is the alert's class and level as [reader.class] reads them.
func severityOf(a emergency.Alert) string {
	switch a.Class {
	case emergency.ClassDaily:
		return "10"
	case emergency.ClassTest:
		return "15"
	case emergency.ClassDrillSystem:
		return "21"
	case emergency.ClassDrillSimulated:
		return "22"
	case emergency.ClassDrillActual:
		return "23"
	}
	return strconv.Itoa(int(a.Level))
}

func joined(areas []playlist.Area) string {
	all := make([]string, len(areas))
	for i, a := range areas {
		all[i] = string(a)
	}
	return strings.Join(all, ",")
}
