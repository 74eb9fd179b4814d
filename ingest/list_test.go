package ingest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"dalaba/ingest"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// stick makes a folder with a few files, none of them sound: Collect looks at
// names only.
func stick(t *testing.T) string {
	dir := t.TempDir()
	for _, f := range []string{"a.mp3", "二.mp3", "with space.mp3", "100%.mp3", "sub/c.mp3", "sub/c.toml", "sub/c.txt", "cover.jpg", ".hidden.mp3", "words.txt", "lesson.toml"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, f), []byte("x"))
	}
	for link, to := range map[string]string{"out.mp3": "/etc/passwd", "in.mp3": "a.mp3", "up": "/etc"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestListsAreParsedByTheirFormats(t *testing.T) {
	gbk := func(s string) string {
		out, err := simplifiedchinese.GBK.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	utf16 := func(s string) string {
		out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	xspf := func(tracks string) string {
		return `<?xml version="1.0" encoding="UTF-8"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>` + tracks + `</trackList></playlist>`
	}
	for _, c := range []struct {
		name, file, text string
		want             string // items as path=title, and refused ones as name!key, in order
	}{
		{"plain paths", "l.m3u", "a.mp3\nsub/c.mp3\n", "a.mp3= sub/c.mp3="},
		{"Windows lines and slashes", "l.m3u", "a.mp3\r\nsub\\c.mp3\r\n", "a.mp3= sub/c.mp3="},
		{"extended, with titles", "l.m3u8", "#EXTM3U\n#PLAYLIST:x\n#EXTINF:123,第一课 洗手\na.mp3\n\n# note\n二.mp3\n", "a.mp3=第一课_洗手 二.mp3="},
		{"a byte order mark", "l.m3u8", "\ufeff#EXTM3U\n二.mp3\n", "二.mp3="},
		{"GBK from Windows", "l.m3u", gbk("#EXTM3U\n#EXTINF:1,健康\n二.mp3\n"), "二.mp3=健康"},
		{"GBK in a list that should be UTF-8", "l.m3u8", gbk("二.mp3\n"), "二.mp3="},
		{"GBK in a list beside files with names in GBK", "l.m3u", gbk("#EXTINF:1,感冒\r\n健康\\第1期 感冒.MP3\r\n"), "健康/第1期_感冒.mp3=感冒"},
		{"UTF-8 in a list beside files with names in GBK", "l.m3u8", "健康/第1期 感冒.mp3\n", "健康/第1期_感冒.mp3="},
		{"file URIs", "l.m3u", "file://DIR/with%20space.mp3\nfile://localhostDIR/%E4%BA%8C.mp3\n", "with_space.mp3= 二.mp3="},
		{"a percent sign in a plain path", "l.m3u", "100%.mp3\n", "100%.mp3="},
		{"an absolute path inside", "l.m3u", "DIR/a.mp3\n", "a.mp3="},
		{"an absolute path elsewhere", "l.m3u", "/etc/passwd\na.mp3\n", "a.mp3= /etc/passwd!ingest.list_outside"},
		{"a path that leads out of the folder", "l.m3u", "../../../../../../etc/passwd\nsub/../a.mp3\n", "a.mp3= ../../../../../../etc/passwd!ingest.list_outside"},
		{"paths of Windows, with the files beside the list or below it", "l.m3u", "D:\\音频\\a.mp3\r\nD:\\音频\\sub\\c.mp3\r\n\\\\server\\share\\二.mp3\r\nC:\\Windows\\none.mp3\r\n",
			"a.mp3= sub/c.mp3= 二.mp3= C:/Windows/none.mp3!ingest.list_outside"},
		{"paths of another machine", "l.m3u", "/home/zhang/音频/sub/c.mp3\n/home/zhang/a.mp3\nfile:///home/zhang/with%20space.mp3\n/home/../../none.mp3\n",
			"sub/c.mp3= a.mp3= with_space.mp3= /home/../../none.mp3!ingest.list_outside"},
		{"a path of another machine that leads to a link out of the folder", "l.m3u", "D:\\up\\passwd\nD:\\x\\out.mp3\n", "D:/up/passwd!ingest.list_outside D:/x/out.mp3!ingest.list_outside"},
		{"file URIs of Windows", "l.m3u", "file:///D:/%E9%9F%B3/a.mp3\nfile:///D:/none.mp3\nfile://server/share/sub/c.mp3\n", "a.mp3= sub/c.mp3= file:///D:/none.mp3!ingest.list_outside"},
		{"a relative entry is not looked for elsewhere", "l.m3u", "x/a.mp3\n", "x/a.mp3!ingest.missing"},
		{"names with a colon", "l.m3u", "07:30早间.mp3\n7:30早间.mp3\n早间:1.mp3\nnews:1.mp3\nnews:2.mp3\n",
			"07:30早间.mp3= 7:30早间.mp3= 早间:1.mp3= news:1.mp3= news:2.mp3!ingest.list_remote"},
		{"XSPF with a name with a colon", "l.xspf", xspf("<track><location>07:30早间.mp3</location></track><track><location>news:1.mp3</location></track>"), "07:30早间.mp3= news:1.mp3="},
		{"lines of an old Mac", "l.m3u", "#EXTM3U\r#EXTINF:1,一\ra.mp3\r#EXTINF:1,二\r二.mp3\r", "a.mp3=一 二.mp3=二"},
		{"other case, as Windows takes it", "l.m3u", "A.MP3\r\nSub\\C.mp3\r\n", "a.mp3= sub/c.mp3="},
		{"other case that fits two files", "l.m3u", "Twins.mp3\ntwins.mp3\n", "twins.mp3= Twins.mp3!ingest.missing"},
		{"names from a Mac", "l.m3u", "cafe\u0301.mp3\nplage\u0301.mp3\nplag\u00e9.mp3\n", "caf\u00e9.mp3= plage\u0301.mp3= plage\u0301.mp3="},
		{"PLS", "l.pls", "[playlist]\r\nFile2=sub\\c.mp3\r\nFile1=D:\\音频\\a.mp3\r\nTitle1=洗手\r\nLength1=-1\r\nNumberOfEntries=2\r\n", "a.mp3=洗手 sub/c.mp3="},
		{"a list with a document", "l.m3u", "a.mp3\nwords.docx\n", "a.mp3= words.docx!ingest.writing"},
		{"addresses", "l.m3u", "http://example.org/a.mp3\nrtsp://x/y\nconcat:a.mp3\n", "http://example.org/a.mp3!ingest.list_remote rtsp://x/y!ingest.list_remote concat:a.mp3!ingest.list_remote"},
		{"a file URI on another host", "l.m3u", "file://server/share/none.mp3\n", "file://server/share/none.mp3!ingest.list_remote"},
		{"a link that leads out of the folder", "l.m3u", "out.mp3\nup/passwd\n", "out.mp3!ingest.list_outside up/passwd!ingest.list_outside"},
		{"a link inside the folder", "l.m3u", "in.mp3\n", "a.mp3="},
		{"a file that does not exist", "l.m3u", "none.mp3\n", "none.mp3!ingest.missing"},
		{"nothing", "l.m3u", "#EXTM3U\n", "l.m3u!ingest.list_empty"},
		{"binary", "l.m3u", "\x00\x01\x02", "l.m3u!ingest.list_broken"},
		{"XSPF", "l.xspf", xspf("<track><location>a.mp3</location><title>洗手</title><album>健康微课堂</album><trackNum>3</trackNum></track><track><location>with%20space.mp3</location><location>b.mp3</location></track><track><title>wanted</title></track>"),
			"a.mp3=洗手/健康微课堂/3 with_space.mp3="},
		{"XSPF with a number above the highest issue", "l.xspf", xspf("<track><location>a.mp3</location><title>洗手</title><album>集</album><trackNum>100000</trackNum></track>"), "a.mp3=洗手/集/0"},
		{"XSPF with bases", "l.xspf", `<playlist version="1" xmlns="http://xspf.org/ns/0/" xml:base="sub/"><trackList xml:base="../">` +
			`<track><location>a.mp3</location></track><track xml:base="sub/"><location>c.mp3</location><title>里</title></track><track><location xml:base="sub/x">c.mp3</location></track></trackList></playlist>`,
			"a.mp3= sub/c.mp3=里 sub/c.mp3="},
		{"XSPF with bases that lead out", "l.xspf", `<playlist version="1" xmlns="http://xspf.org/ns/0/" xml:base="file:///etc/"><trackList>` +
			`<track><location>passwd</location></track><track xml:base="http://example.org/"><location>a.mp3</location></track><track xml:base="DIR/"><location>a.mp3</location></track><track xml:base="%zz"><location>a.mp3</location></track></trackList></playlist>`,
			"a.mp3= passwd!ingest.list_outside a.mp3!ingest.list_remote a.mp3!ingest.list_place"},
		{"XSPF with several places", "l.xspf", xspf("<track><location>http://x/a.mp3</location><location>none.mp3</location><location>%E4%BA%8C.mp3</location><location>a.mp3</location></track>" +
			"<track><location>none.mp3</location><location>http://x/a.mp3</location></track><track><location>none.mp3</location><location>../../x.mp3</location></track><track><location></location></track>"),
			"二.mp3= none.mp3!ingest.missing none.mp3!ingest.list_outside !ingest.list_place"},
		{"XSPF in GBK", "l.xspf", gbk(strings.Replace(xspf("<track><location>a.mp3</location><title>洗手</title></track>"), "UTF-8", "GB2312", 1)), "a.mp3=洗手"},
		{"XSPF in UTF-16", "l.xspf", utf16(strings.Replace(xspf("<track><location>二.mp3</location><title>洗手</title></track>"), "UTF-8", "UTF-16", 1)), "二.mp3=洗手"},
		{"XSPF in Latin-1", "l.xspf", strings.Replace(xspf("<track><location>a.mp3</location><title>caf\xe9</title></track>"), "UTF-8", "ISO-8859-1", 1), "a.mp3=café"},
		{"XSPF in an unknown encoding", "l.xspf", strings.Replace(xspf("<track><location>a.mp3</location></track>"), "UTF-8", "KLINGON", 1), "l.xspf!ingest.list_broken"},
		{"XSPF that is not in the encoding it declares", "l.xspf", xspf("<track><location>a.mp3</location><title>\xce\xd2</title></track>"), "l.xspf!ingest.list_broken"},
		{"percent-encoded paths", "l.m3u8", "with%20space.mp3\n%E4%BA%8C.mp3\nsub%2Fc.mp3\n", "with_space.mp3= 二.mp3= sub/c.mp3="},
		{"percent-encoded paths that lead out or nowhere", "l.m3u", "%2e%2e/%2e%2e/etc/passwd\n%2Fetc%2Fpasswd\nno%20ne.mp3\na%00.mp3\n",
			"%2e%2e/%2e%2e/etc/passwd!ingest.list_outside %2Fetc%2Fpasswd!ingest.list_outside no%20ne.mp3!ingest.missing a%00.mp3!ingest.missing"},
		{"UTF-16 from Windows", "l.m3u", utf16("#EXTM3U\r\n#EXTINF:1,洗手\r\n二.mp3\r\n"), "二.mp3=洗手"},
		{"XSPF that points out", "l.xspf", xspf("<track><location>file:///etc/passwd</location></track><track><location>http://x/a.mp3</location></track><track><location>../x.mp3</location></track>"),
			"file:///etc/passwd!ingest.list_outside http://x/a.mp3!ingest.list_remote ../x.mp3!ingest.list_outside"},
		{"XSPF with an entity from outside", "l.xspf", `<!DOCTYPE p [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + xspf("<track><location>&e;</location></track>"), "l.xspf!ingest.list_broken"},
		{"XML that is not XSPF", "l.xspf", "<html></html>", "l.xspf!ingest.list_broken"},
		{"an empty XSPF", "l.xspf", "", "l.xspf!ingest.empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := stick(t)
			for _, f := range []string{"07:30早间.mp3", "7:30早间.mp3", "早间:1.mp3", "news:1.mp3", "twins.mp3", "TWINS.mp3", "caf\u00e9.mp3", "plage\u0301.mp3", "words.docx", gbk("健康/第1期 感冒.mp3")} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, f), []byte("x"))
			}
			file := filepath.Join(dir, c.file)
			write(t, file, []byte(strings.ReplaceAll(c.text, "DIR", dir)))
			if got := collected(ingester(t), dir, file); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// collected returns as text what was found, relative to dir.
func collected(g *ingest.Ingester, dir string, args ...string) string {
	found := g.Collect(args)
	var out []string
	short := func(s string) string { return strings.ReplaceAll(strings.TrimPrefix(s, dir+"/"), " ", "_") }
	for _, i := range found.Items {
		i.Path = playlist.Legible(i.Path)
		said := short(i.Listed.Title)
		if i.Listed.Series != "" {
			said += "/" + i.Listed.Series + "/" + string(rune('0'+i.Listed.Issue))
		}
		out = append(out, short(i.Path)+"="+said)
	}
	for _, r := range found.Refused {
		key := keyOf(r.Err)
		if !say.Has(key) {
			key = "no words for " + r.Err.Error()
		}
		out = append(out, short(r.Name)+"!"+key)
	}
	return strings.Join(out, " ")
}

func FuzzLists(f *testing.F) {
	f.Add("l.m3u", "#EXTINF:1,x\n../a.mp3\nfile:///etc/passwd\n%2e%2e/a\n")
	f.Add("l.m3u8", "\ufeffa.mp3")
	f.Add("l.m3u", "D:\\x\\A.MP3\r\\\\s\\..\\..\\a.mp3\r07:30.mp3\rfile:///D:/a.mp3\rnews:1.mp3\r//x/../..\r")
	f.Add("l.pls", "File1=../a.mp3\nTitle1=x\nFile-1=D:\\a.mp3\n")
	f.Add("l.m3u", "\xff\xfea\x00.\x00m\x00p\x003\x00")
	f.Add("l.xspf", `<playlist xmlns="http://xspf.org/ns/0/" xml:base="%2e%2e/"><trackList xml:base="file:///"><track><location>a.mp3</location><location xml:base="..">a.mp3</location></track></trackList></playlist>`)
	f.Add("l.xspf", `<?xml version="1.0" encoding="utf-16"?><playlist/>`)
	f.Add("l.xspf", `<playlist xmlns="http://xspf.org/ns/0/"><trackList><track><location>%2e%2e/a.mp3</location></track></trackList></playlist>`)
	f.Fuzz(func(t *testing.T, name, text string) {
		if name != "l.m3u" && name != "l.m3u8" && name != "l.pls" && name != "l.xspf" {
			return
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.mp3"), []byte("x"))
		write(t, filepath.Join(dir, name), []byte(text))
		found := (&ingest.Ingester{}).Collect([]string{filepath.Join(dir, name)})
		for _, i := range found.Items {
			if !strings.HasPrefix(i.Path, dir+"/") {
				t.Errorf("%q let out %s", text, i.Path)
			}
		}
		for _, r := range found.Refused {
			if !say.Has(keyOf(r.Err)) {
				t.Errorf("speechless: %v", r.Err)
			}
		}
	})
}
