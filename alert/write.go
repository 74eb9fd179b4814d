package alert

import (
	"bytes"
	"crypto/sha1" // the digest that CAP has
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// The elements of CAP 1.2 that WriteCAP writes, in the order of its schema.
type (
	capAlert struct {
		XMLName    xml.Name `xml:"urn:oasis:names:tc:emergency:cap:1.2 alert"`
		Identifier string   `xml:"identifier"`
		Sender     string   `xml:"sender"`
		Sent       string   `xml:"sent"`
		Status     string   `xml:"status"`
		MsgType    string   `xml:"msgType"`
		Scope      string   `xml:"scope"`
		References string   `xml:"references,omitempty"`
		Info       capInfo  `xml:"info"`
	}
	capInfo struct {
		Language    string       `xml:"language"`
		Category    string       `xml:"category"`
		Event       string       `xml:"event"`
		Urgency     string       `xml:"urgency"`
		Severity    string       `xml:"severity"`
		Certainty   string       `xml:"certainty"`
		Expires     string       `xml:"expires"`
		SenderName  string       `xml:"senderName"`
		Headline    string       `xml:"headline,omitempty"`
		Description string       `xml:"description,omitempty"`
		Resource    *capResource `xml:"resource"`
		Area        capArea      `xml:"area"`
	}
	capResource struct {
		ResourceDesc string `xml:"resourceDesc"`
		MimeType     string `xml:"mimeType"`
		Size         int    `xml:"size"`
		DerefURI     string `xml:"derefUri"`
		Digest       string `xml:"digest"`
	}
	capArea struct {
		AreaDesc string       `xml:"areaDesc"`
		Geocode  []capGeocode `xml:"geocode"`
	}
	capGeocode struct {
		ValueName string `xml:"valueName"`
		Value     string `xml:"value"`
	}
)

const capTime = "2006-01-02T15:04:05-07:00" // never Z, and no fractions

// WriteCAP writes an emergency or an actual drill, or the update of one, as a CAP 1.2
// message in the times of a zone. It writes the first text, the bytes of the first
// sound and the areas, which it calls by the sender's name; Refs must be IDs of CAP
// messages.
func WriteCAP(a emergency.Alert, zone *time.Location) ([]byte, error) {
	stamp := func(t time.Time) string { return t.In(zone).Format(capTime) }
	text := a.Texts[0]
	m := capAlert{
		Identifier: a.Identifier, Sender: a.Sender, Sent: stamp(a.Sent), Status: "Actual", MsgType: "Alert", Scope: "Public",
		References: references(a.Refs),
		Info: capInfo{
			Language: text.Language, Category: "Safety", Event: a.Event, Urgency: "Immediate", Severity: severities[a.Level], Certainty: "Observed",
			Expires: stamp(a.NotAfter), SenderName: a.SenderName, Headline: text.Title, Description: text.Text,
			Area: capArea{AreaDesc: a.SenderName},
		},
	}
	if a.Class.Drill() {
		m.Status = "Exercise"
	}
	if a.Kind == emergency.KindUpdate {
		m.MsgType = "Update"
	}
	for _, area := range a.Areas {
		m.Info.Area.Geocode = append(m.Info.Area.Geocode, capGeocode{"profile:CAP-CN:0.1", string(area)})
	}
	if len(a.Audio) > 0 {
		x := a.Audio[0]
		sum := sha1.Sum(x.Data)
		m.Info.Resource = &capResource{
			ResourceDesc: x.Name, MimeType: x.MediaType, Size: len(x.Data),
			DerefURI: base64.StdEncoding.EncodeToString(x.Data), Digest: hex.EncodeToString(sum[:]),
		}
	}
	var out bytes.Buffer
	out.WriteString(xml.Header)
	e := xml.NewEncoder(&out)
	e.Indent("", "  ")
	err := e.Encode(m)
	out.WriteByte('\n')
	return out.Bytes(), err
}

func references(ids []playlist.AlertID) string {
	var all []string
	for _, id := range ids {
		all = append(all, string(id))
	}
	return strings.Join(all, " ")
}
