// Package alerttest writes the EBD packages that a higher platform sends, for
// tests of the programs that receive them. Only tests may import it.
package alerttest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha1" // the digest that EBD declares
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dalaba/alert"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// EBMID returns the ID of a message, made of its sender, the day in China and the
// message's number on that day [D].
func EBMID(ebrid string, day time.Time, number int) string {
	return fmt.Sprintf("%s%s%04d", ebrid, day.In(china).Format("20060102"), number)
}

// The elements of a package with a message, in the order of the draft.
type (
	ebdXML struct {
		XMLName xml.Name  `xml:"EBD"`
		Version string    `xml:"EBDVersion"`
		ID      string    `xml:"EBDID"`
		Type    string    `xml:"EBDType"`
		From    sourceXML `xml:"SRC"`
		To      string    `xml:"DEST>EBRID,omitempty"`
		Time    string    `xml:"EBDTime"`
		Related string    `xml:"RelatedEBD>EBDID,omitempty"`
		EBM     ebmXML    `xml:"EBM"`
	}
	sourceXML struct {
		ID  string `xml:"EBRID"`
		URL string `xml:"URL,omitempty"`
	}
	ebmXML struct {
		Version string      `xml:"EBMVersion"`
		ID      string      `xml:"EBMID"`
		Related string      `xml:"RelatedInfo>EBMID,omitempty"`
		Basic   basicXML    `xml:"MsgBasicInfo"`
		Content *contentXML `xml:"MsgContent"`
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

// file is one file of a package.
type file struct {
	name string
	data []byte
}

// NoDigest as the digest of a sound leaves it without one.
const NoDigest = "-"

// Request writes an alert as a package with an EBM. Sounds that have data become files
// of the package. It ignores the head's Version and Type.
func Request(h alert.EBD, a emergency.Alert, s alert.Sign) (alert.Package, error) {
	message, sounds := ebm(a)
	body, err := xml.Marshal(ebdXML{
		Version: "1.0", ID: h.ID, Type: string(alert.KindEBM), From: sourceXML{h.From, h.FromURL}, To: h.To, Time: chinaTime(h.Time),
		Related: h.Related, EBM: message,
	})
	if err != nil {
		return alert.Package{}, err
	}
	body = append([]byte(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`+"\n"), body...)
	files := append([]file{{"EBDB_" + h.ID + ".xml", body}}, sounds...)
	if s.By != nil {
		signature, err := s.By.Sign(body, h.ID, h.Time, s.Counter)
		if err != nil {
			return alert.Package{}, err
		}
		files = append(files, file{"EBDS_EBDB_" + h.ID + ".xml", signature})
	}
	out, err := writeTar(h.Time, files)
	return alert.Package{Name: "EBDT_" + h.ID + ".tar", Tar: out}, err
}

// ebm returns the message of an alert, and the files of its sounds.
func ebm(a emergency.Alert) (ebmXML, []file) {
	x := ebmXML{Version: "1.0", ID: string(a.ID), Basic: basicXML{
		Type: "1", SenderName: a.SenderName, SenderCode: a.Sender, Sent: chinaTime(a.Sent), Event: a.EventCode,
		Severity: severity(a), Start: chinaTime(a.NotBefore), End: chinaTime(a.NotAfter),
	}}
	if a.Kind == emergency.KindCancel {
		x.Basic.Type = "2"
	}
	if len(a.Refs) > 0 {
		x.Related = string(a.Refs[0])
	}
	content := contentXML{Language: "zho", Areas: joined(a.Areas)}
	if text, ok := a.Text("zh"); ok {
		content.Title, content.Desc = text.Title, text.Text
		if !strings.HasPrefix(strings.ToLower(text.Language), "zh") {
			content.Language = text.Language
		}
	}
	var sounds []file
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
		digest := cmp.Or(audio.Digest, hex.EncodeToString(sum[:]))
		if digest == NoDigest {
			digest = ""
		}
		content.Auxiliary = append(content.Auxiliary, auxiliaryXML{kind, name, strconv.Itoa(len(audio.Data)), digest})
		sounds = append(sounds, file{name, audio.Data})
	}
	if a.Kind != emergency.KindCancel || content.Areas != "" {
		x.Content = &content
	}
	return x, sounds
}

// severity writes the alert's class and level as [alert.Parse] reads them.
func severity(a emergency.Alert) string {
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

// china is China's time zone. EBD writes its times in it, without the offset.
var china = time.FixedZone("CST", 8*60*60)

func chinaTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(china).Format(time.DateTime)
}

func writeTar(at time.Time, files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: 0o644, ModTime: at.Truncate(time.Second), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
