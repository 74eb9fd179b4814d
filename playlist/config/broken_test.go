package config_test

import (
	"strings"
	"testing"

	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// What most of the broken configs below begin with; each is good as it stands.
const (
	site = `[site]
name = "村"
area = "341523100201"
data_dir = "d"
`
	base = site + `[[output]]
name = "村口"
`
	good = base + `[[playlist]]
name = "健康"
series = "健康微课堂"
`
)

// broken is configs with all problems that are reported of them, in both
// languages. If no problem is a fault, the config is taken with a warning.
var broken = []struct {
	name, text string
	zh, en     []string
}{
	{
		"an empty file",
		"",
		[]string{
			"dalaba.toml:1: site: 缺少 [site]；请加上 [site]，写明 name、area 和 data_dir",
			"dalaba.toml:1: output: 没有任何输出，不知道从哪里出声；请至少加上一个 [[output]]，写明 name 和 device",
		},
		[]string{
			"dalaba.toml:1: site: there is no [site]; add [site] with name, area and data_dir",
			"dalaba.toml:1: output: there is no output, so nothing can sound; add at least one [[output]] with name and device",
		},
	},
	{
		"a binary file",
		"abc\x00def",
		[]string{
			"dalaba.toml:1: 文件里有空字节（NUL），不是纯文本；请用文本编辑器另存为 UTF-8 编码",
		},
		[]string{
			"dalaba.toml:1: the file holds a NUL byte and is no plain text; save it from a text editor as UTF-8",
		},
	},
	{
		"a file in GBK",
		site + "# \xb4\xf3\n",
		[]string{
			"dalaba.toml:5: 文件不是 UTF-8 编码（可能是 GBK）；请用文本编辑器另存为 UTF-8 编码",
		},
		[]string{
			"dalaba.toml:5: the file is not in UTF-8 (in GBK, perhaps); save it from a text editor as UTF-8",
		},
	},
	{
		"a full-width equals sign",
		`[site]
name＝"村"
`,
		[]string{
			"dalaba.toml:2:5: 引号之外出现了全角字符 ＝；请切换到英文输入法，改成半角的 =",
		},
		[]string{
			"dalaba.toml:2:5: the full-width character ＝ stands outside quotes; type the plain = instead",
		},
	},
	{
		"full-width quotes",
		`[site]
name = “村”
`,
		[]string{
			`dalaba.toml:2:8: 引号之外出现了全角字符 “；请切换到英文输入法，改成半角的 "`,
		},
		[]string{
			`dalaba.toml:2:8: the full-width character “ stands outside quotes; type the plain " instead`,
		},
	},
	{
		"a full-width comma in a list",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
days = ["周一"，"周二"]
`,
		[]string{
			"dalaba.toml:14:13: 引号之外出现了全角字符 ，；请切换到英文输入法，改成半角的 ,",
		},
		[]string{
			"dalaba.toml:14:13: the full-width character ， stands outside quotes; type the plain , instead",
		},
	},
	{
		"a quote not closed",
		`[site]
name = "村
area = "341523100201"
`,
		[]string{
			"dalaba.toml:2:10: 引号没有配对；请在文字末尾补上引号",
		},
		[]string{
			"dalaba.toml:2:10: a quote is not closed; close the text with a quote",
		},
	},
	{
		"a list not closed before the next table",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
outputs = ["村口"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:15:1: 这里之前的列表没有写完整；各项之间用英文逗号隔开，末尾补上 ]",
		},
		[]string{
			"dalaba.toml:15:1: the list before this is not complete; put commas between the items and ] at the end",
		},
	},
	{
		"text without quotes",
		`[site]
name = village
`,
		[]string{
			`dalaba.toml:2:8: 等号后面的值看不懂；请写成 name = "village"`,
		},
		[]string{
			`dalaba.toml:2:8: the value after = cannot be read; write name = "village"`,
		},
	},
	{
		"a time without quotes and without a digit",
		good + `[[quiet]]
from = 6:30
to = "07:00"
`,
		[]string{
			`dalaba.toml:11:9: 等号后面的值看不懂；请写成 from = "06:30"`,
		},
		[]string{
			`dalaba.toml:11:9: the value after = cannot be read; write from = "06:30"`,
		},
	},
	{
		"a duration without quotes",
		base + "extra_delay = 2s\n",
		[]string{
			`dalaba.toml:7:16: 等号后面的值看不懂；请写成 extra_delay = "2s"`,
		},
		[]string{
			`dalaba.toml:7:16: the value after = cannot be read; write extra_delay = "2s"`,
		},
	},
	{
		"a key without a value",
		`[site]
name =
`,
		[]string{
			"dalaba.toml:2:7: 等号后面的值看不懂；文字、时间、时长加英文双引号，数字用半角、不带单位，开关写 true 或 false",
		},
		[]string{
			"dalaba.toml:2:7: the value after = cannot be read; put text, times and durations in double quotes",
		},
	},
	{
		"a line without an equals sign",
		`[site]
name "村"
`,
		[]string{
			"dalaba.toml:2:6: 键的后面缺少等号；请写成“键 = 值”；仅作说明的文字前面加 #",
		},
		[]string{
			"dalaba.toml:2:6: there is no = after the key; write key = value, or begin the line with # if it is a comment",
		},
	},
	{
		"a header with one bracket missing",
		base + `[[playlist]
name = "健康"
`,
		[]string{
			"dalaba.toml:7:11: 表头的方括号没有配对；请写成 [site] 或 [[slot]] 的样子",
		},
		[]string{
			"dalaba.toml:7:11: the brackets of the table header do not match; write it like [site] or [[slot]]",
		},
	},
	{
		"a backslash in a path",
		"[site]\ndata_dir = \"C:\\data\"\n",
		[]string{
			`dalaba.toml:2:15: 反斜杠后面的字符无法识别；反斜杠请写两个（\\），或改用单引号`,
		},
		[]string{
			`dalaba.toml:2:15: the character after the backslash means nothing; write the backslash twice (\\), or use single quotes`,
		},
	},
	{
		"two values on one line",
		`[site]
name = "a" area = "b"
`,
		[]string{
			"dalaba.toml:2:12: 值的后面还有多余的内容；一行只写一个键；说明文字前面加 #",
		},
		[]string{
			"dalaba.toml:2:12: something follows the value; write one key a line, and # before a comment",
		},
	},
	{
		"an area code without quotes that begins with 0",
		`[site]
area = 041523100201
`,
		[]string{
			"dalaba.toml:2:8: 数字不能以 0 开头；请写成 area = \"041523100201\"",
		},
		[]string{
			"dalaba.toml:2:8: a number must not begin with 0; write area = \"041523100201\"",
		},
	},
	{
		"an inline table not closed",
		"site = { name = \"村\"\n",
		[]string{
			"dalaba.toml:1:20: 这里之前的花括号没有写完整；各项之间用英文逗号隔开，末尾补上 }",
		},
		[]string{
			"dalaba.toml:1:20: the inline table before this is not complete; put commas between the items and } at the end",
		},
	},
	{
		"a Chinese key",
		`[site]
名称 = "村"
`,
		[]string{
			"dalaba.toml:2:1: 行首不是键名；键名用英文字母，写成“键 = 值”；仅作说明的文字前面加 #",
		},
		[]string{
			"dalaba.toml:2:1: the line does not begin with a key; write key = value with a key in English letters, or begin the line with # if it is a comment",
		},
	},
	{
		"of two errors of the syntax, the first",
		`[site]
name = 村
[[output]]
name = 口
[[slot]]
name = "ok"
`,
		[]string{
			`dalaba.toml:2:8: 等号后面的值看不懂；请写成 name = "村"`,
		},
		[]string{
			`dalaba.toml:2:8: the value after = cannot be read; write name = "村"`,
		},
	},
	{
		"a key twice",
		site + `name = "庄"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:5: name: 第 2 行已经写过这个键；请只保留一处",
		},
		[]string{
			"dalaba.toml:5: name: the key stands in line 2 already; keep one of the two",
		},
	},
	{
		"a table twice",
		base + `[store]
backups = 3
[store]
days = 1
`,
		[]string{
			"dalaba.toml:9: store: 第 7 行已经写过这个表；请把两处合并成一处",
		},
		[]string{
			"dalaba.toml:9: store: the table stands in line 7 already; join the two into one",
		},
	},
	{
		"a value that becomes a table",
		base + `[store]
backups = 3
[store.backups]
keep = 1
`,
		[]string{
			"dalaba.toml:9: store.backups: 第 8 行已经给它赋了值，下面不能再有键；请删掉其中一处",
		},
		[]string{
			"dalaba.toml:9: store.backups: it has a value in line 8 and so can hold no keys; delete one of the two",
		},
	},
	{
		"a dotted key that opens another table's",
		base + `[store]
backups.keep = 1
backups = 3
`,
		[]string{
			"dalaba.toml:8: store.backups: 这里要写整数，写成了表；请写 1 到 90 的整数，不加引号",
			"dalaba.toml:9: backups: 第 8 行已经写过这个键；请只保留一处",
		},
		[]string{
			"dalaba.toml:8: store.backups: this must be a whole number, not a table; write a whole number from 1 to 90, without quotes",
			"dalaba.toml:9: backups: the key stands in line 8 already; keep one of the two",
		},
	},
	{
		"a number too large for TOML",
		base + "residents = 99999999999999999999\n",
		[]string{
			"dalaba.toml:7: output[1].residents: 99999999999999999999 超出范围 0 到 1000000；请写 0 到 1000000 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:7: output[1].residents: 99999999999999999999 is not within 0 to 1000000; write a whole number from 0 to 1000000, without quotes",
		},
	},
	{
		"a table that TOML alone refuses",
		`store.backups = 3
[store]
[site]
name = "村"
area = "341523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:2: 这里不符合 TOML 的规定；请检查数字和日期是否有效，同一个表是否写了两次",
		},
		[]string{
			"dalaba.toml:2: TOML does not allow this; check that numbers and dates exist and that no table stands twice",
		},
	},
	{
		"an unknown table",
		base + "[playlst]\n",
		[]string{
			"dalaba.toml:7: playlst: 不认识的表“playlst”；想写的可能是 [[playlist]]",
		},
		[]string{
			`dalaba.toml:7: playlst: there is no table "playlst"; did you mean [[playlist]]`,
		},
	},
	{
		"a table nobody knows",
		base + `[weather]
city = "六安"
`,
		[]string{
			"dalaba.toml:7: weather: 不认识的表“weather”；可用的表：site、calendar、ingest、amplifier、store、alert、microphone、county、output、quiet、daypart、playlist、slot、local_hours、exception",
		},
		[]string{
			`dalaba.toml:7: weather: there is no table "weather"; the tables are: site, calendar, ingest, amplifier, store, alert, microphone, county, output, quiet, daypart, playlist, slot, local_hours, exception`,
		},
	},
	{
		"a key before the first table",
		`timezone = "Asia/Shanghai"
[site]
name = "村"
area = "341523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:1: timezone: 键“timezone”不属于任何表；请把它移到 [site] 下面",
		},
		[]string{
			`dalaba.toml:1: timezone: the key "timezone" stands outside every table; move it below [site]`,
		},
	},
	{
		"an unknown key with a likely one",
		site + `timezon = "Asia/Shanghai"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:5: site.timezon: 不认识的键“timezon”；想写的可能是 timezone",
		},
		[]string{
			`dalaba.toml:5: site.timezon: there is no key "timezon"; did you mean timezone`,
		},
	},
	{
		"an unknown key with no likely one",
		base + "colour = \"red\"\n",
		[]string{
			"dalaba.toml:7: output[1].colour: 不认识的键“colour”；可用的有：name、device、area、residents、level_db、extra_delay、idle",
		},
		[]string{
			`dalaba.toml:7: output[1].colour: there is no key "colour"; use one of: name, device, area, residents, level_db, extra_delay, idle`,
		},
	},
	{
		"slot written with single brackets",
		good + `[slot]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:10: slot: “slot”可以有多个，表头要用双层方括号；请把表头写成 [[slot]]",
		},
		[]string{
			`dalaba.toml:10: slot: there may be several "slot", so the header takes double brackets; write the header as [[slot]]`,
		},
	},
	{
		"site written with double brackets",
		`[[site]]
name = "村"
area = "341523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:1: site: “site”只能有一个；请把表头写成 [site]",
		},
		[]string{
			`dalaba.toml:1: site: there can be only one "site"; write the header as [site]`,
		},
	},
	{
		"first single, then double brackets",
		site + `[output]
name = "a"
[[output]]
name = "b"
`,
		[]string{
			"dalaba.toml:5: output: “output”可以有多个，表头要用双层方括号；请把表头写成 [[output]]",
			"dalaba.toml:7: output[2].device: 设备“auto”已由第 5 行的输出占用；请给每个输出各配一个设备（null: 除外）",
		},
		[]string{
			`dalaba.toml:5: output: there may be several "output", so the header takes double brackets; write the header as [[output]]`,
			`dalaba.toml:7: output[2].device: the output in line 5 has the device "auto" already; give each output a device of its own (null: may be shared)`,
		},
	},
	{
		"site that is no table",
		`site = "村"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:1: site: 这里要写表，写成了文字；请把表头写成 [site]",
		},
		[]string{
			"dalaba.toml:1: site: this must be a table, not text; write the header as [site]",
		},
	},
	{
		"output that is no table",
		`output = ["村口"]
[site]
name = "村"
area = "341523100201"
data_dir = "d"
`,
		[]string{
			"dalaba.toml:1: output[1]: 这里要写表，写成了文字；请把表头写成 [[output]]",
		},
		[]string{
			"dalaba.toml:1: output[1]: this must be a table, not text; write the header as [[output]]",
		},
	},
	{
		"no site",
		`[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:1: site: 缺少 [site]；请加上 [site]，写明 name、area 和 data_dir",
		},
		[]string{
			"dalaba.toml:1: site: there is no [site]; add [site] with name, area and data_dir",
		},
	},
	{
		"no output",
		site,
		[]string{
			"dalaba.toml:1: output: 没有任何输出，不知道从哪里出声；请至少加上一个 [[output]]，写明 name 和 device",
		},
		[]string{
			"dalaba.toml:1: output: there is no output, so nothing can sound; add at least one [[output]] with name and device",
		},
	},
	{
		"an empty list of outputs",
		`output = []
[site]
name = "村"
area = "341523100201"
data_dir = "d"
`,
		[]string{
			"dalaba.toml:1: output: 没有任何输出，不知道从哪里出声；请至少加上一个 [[output]]，写明 name 和 device",
		},
		[]string{
			"dalaba.toml:1: output: there is no output, so nothing can sound; add at least one [[output]] with name and device",
		},
	},
	{
		"site without its keys",
		`[site]
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:1: site.name: 缺少必填的键；请加上，例如 name = "大坝村"`,
			`dalaba.toml:1: site.area: 缺少必填的键；请加上，例如 area = "341523100201"`,
			`dalaba.toml:1: site.data_dir: 缺少必填的键；请加上，例如 data_dir = "/var/lib/dalaba"`,
		},
		[]string{
			`dalaba.toml:1: site.name: the key is required; add it, such as name = "大坝村"`,
			`dalaba.toml:1: site.area: the key is required; add it, such as area = "341523100201"`,
			`dalaba.toml:1: site.data_dir: the key is required; add it, such as data_dir = "/var/lib/dalaba"`,
		},
	},
	{
		"an empty name",
		`[site]
name = "  "
area = "341523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:2: site.name: 内容为空；请填写，例如 "大坝村"`,
		},
		[]string{
			`dalaba.toml:2: site.name: it is empty; fill it in, such as "大坝村"`,
		},
	},
	{
		"a name with a line break",
		"[site]\nname = \"村\\n庄\"\narea = \"341523100201\"\ndata_dir = \"d\"\n[[output]]\nname = \"村口\"\n",
		[]string{
			"dalaba.toml:2: site.name: 含有换行或控制字符；请写成一行普通文字",
		},
		[]string{
			"dalaba.toml:2: site.name: it holds a line break or a control character; write it as one line of plain text",
		},
	},
	{
		"a very long name",
		`[site]
name = "村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村村"
area = "341523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:2: site.name: 超过 200 个字符；请写短一些",
		},
		[]string{
			"dalaba.toml:2: site.name: it is longer than 200 characters; make it shorter",
		},
	},
	{
		"a name that is a number",
		`[site]
name = 7
area = "341523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:2: site.name: 这里要写文字，写成了整数；请加英文双引号，例如 name = "7"`,
		},
		[]string{
			`dalaba.toml:2: site.name: this must be text, not a whole number; put it in double quotes, such as name = "7"`,
		},
	},
	{
		"an area code too short",
		`[site]
name = "村"
area = "3415231"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:3: site.area: 区划代码“3415231”不是 12 位数字；请填本村的 12 位统计用区划代码，例如 "341523100201"`,
		},
		[]string{
			`dalaba.toml:3: site.area: the area code "3415231" is not 12 digits; give the village's 12-digit division code, such as "341523100201"`,
		},
	},
	{
		"an area code of no province",
		`[site]
name = "村"
area = "991523100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:3: site.area: 区划代码 991523100201 开头的 99 不是任何省份；请填本村的 12 位统计用区划代码，例如 "341523100201"`,
		},
		[]string{
			`dalaba.toml:3: site.area: the area code 991523100201 begins with 99, which is no province; give the village's 12-digit division code, such as "341523100201"`,
		},
	},
	{
		"an area code that skips a level",
		`[site]
name = "村"
area = "340023100201"
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:3: site.area: 区划代码 340023100201 中间缺了一级（全 0 的一级后面又有数字）；请按省 2 位、市 2 位、县 2 位、乡镇 3 位、村 3 位核对",
		},
		[]string{
			"dalaba.toml:3: site.area: the area code 340023100201 skips a level: digits follow a level that is all zero; check province 2, prefecture 2, county 2, town 3 and village 3 digits",
		},
	},
	{
		"an area code without quotes",
		`[site]
name = "村"
area = 341523100201
data_dir = "d"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:3: site.area: 这里要写文字，写成了整数；请加英文双引号，例如 area = "341523100201"`,
		},
		[]string{
			`dalaba.toml:3: site.area: this must be text, not a whole number; put it in double quotes, such as area = "341523100201"`,
		},
	},
	{
		"a nonsense area code of an output",
		base + "area = \"000000000000\"\n",
		[]string{
			`dalaba.toml:7: output[1].area: 区划代码 000000000000 开头的 00 不是任何省份；请填本村的 12 位统计用区划代码，例如 "341523100201"`,
		},
		[]string{
			`dalaba.toml:7: output[1].area: the area code 000000000000 begins with 00, which is no province; give the village's 12-digit division code, such as "341523100201"`,
		},
	},
	{
		"an unknown time zone",
		site + `timezone = "Beijing"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:5: site.timezone: 没有时区“Beijing”；请写时区名称，例如 "Asia/Shanghai"`,
		},
		[]string{
			`dalaba.toml:5: site.timezone: there is no time zone "Beijing"; name a zone such as "Asia/Shanghai"`,
		},
	},
	{
		"the zone of the machine",
		site + `timezone = "Local"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:5: site.timezone: 没有时区“Local”；请写时区名称，例如 "Asia/Shanghai"`,
		},
		[]string{
			`dalaba.toml:5: site.timezone: there is no time zone "Local"; name a zone such as "Asia/Shanghai"`,
		},
	},
	{
		"an unknown language",
		site + `language = "fr"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:5: site.language: 不能是“fr”；请从这些里选："zh-CN"、"en"`,
		},
		[]string{
			`dalaba.toml:5: site.language: it cannot be "fr"; choose one of: "zh-CN", "en"`,
		},
	},
	{
		"an unknown clock",
		site + `clock = "gps"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:5: site.clock: 不能是“gps”；写 "ntp"、"battery"、"file:文件" 或 "command:程序"`,
		},
		[]string{
			`dalaba.toml:5: site.clock: it cannot be "gps"; write "ntp", "battery", "file:PATH" or "command:PROGRAM"`,
		},
	},
	{
		"a ceiling above full",
		site + `ceiling_db = 3
[[output]]
name = "村口"
`,
		[]string{
			"dalaba.toml:5: site.ceiling_db: 3 超出范围 -60 到 0 dB；请写 -60 到 0 的分贝数，不加引号",
		},
		[]string{
			"dalaba.toml:5: site.ceiling_db: 3 is not within -60 to 0 dB; write decibels from -60 to 0, without quotes",
		},
	},
	{
		"a name with a space",
		site + `[[output]]
name = "村 口"
`,
		[]string{
			"dalaba.toml:6: output[1].name: 名称里不能有“ ”；名称只用汉字、字母、数字、- 和 _",
		},
		[]string{
			`dalaba.toml:6: output[1].name: a name cannot hold " "; use only letters, digits, Chinese characters, - and _`,
		},
	},
	{
		"a slot name with an at sign",
		good + `[[slot]]
name = "a@b"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:11: slot[1].name: 名称里不能有“@”；名称只用汉字、字母、数字、- 和 _",
		},
		[]string{
			`dalaba.toml:11: slot[1].name: a name cannot hold "@"; use only letters, digits, Chinese characters, - and _`,
		},
	},
	{
		"an output name too long",
		site + `[[output]]
name = "口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口口"
`,
		[]string{
			"dalaba.toml:6: output[1].name: 超过 40 个字符；请写短一些",
		},
		[]string{
			"dalaba.toml:6: output[1].name: it is longer than 40 characters; make it shorter",
		},
	},
	{
		"two outputs of one name",
		base + `device = "null:"
[[output]]
name = "村口"
device = "hw:B"
`,
		[]string{
			"dalaba.toml:9: output[2].name: 名称“村口”与第 6 行重复；请换一个名称",
		},
		[]string{
			`dalaba.toml:9: output[2].name: the name "村口" is taken in line 6; choose another name`,
		},
	},
	{
		"two playlists of one name",
		good + `[[playlist]]
name = "健康"
series = "健康微课堂"
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:11: playlist[2].name: 名称“健康”与第 8 行重复；请换一个名称",
		},
		[]string{
			`dalaba.toml:11: playlist[2].name: the name "健康" is taken in line 8; choose another name`,
		},
	},
	{
		"two slots of one name",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:15: slot[2].name: 名称“早间”与第 11 行重复；请换一个名称",
		},
		[]string{
			`dalaba.toml:15: slot[2].name: the name "早间" is taken in line 11; choose another name`,
		},
	},
	{
		"an empty device",
		base + "device = \"\"\n",
		[]string{
			`dalaba.toml:7: output[1].device: 内容为空；请填写，例如 "auto"`,
		},
		[]string{
			`dalaba.toml:7: output[1].device: it is empty; fill it in, such as "auto"`,
		},
	},
	{
		"a device of an unknown kind",
		base + "device = \"mp3:x\"\n",
		[]string{
			`dalaba.toml:7: output[1].device: 看不懂设备“mp3:x”；请写 "auto"、"hw:" 或 "plughw:" 开头的声卡名、"alsa:名称"、"wav:文件" 或 "null:"；“dalaba devices”可列出声卡`,
		},
		[]string{
			`dalaba.toml:7: output[1].device: "mp3:x" is no device; write "auto", a card such as "plughw:CARD=Device", "alsa:NAME", "wav:FILE" or "null:"; "dalaba devices" lists the cards`,
		},
	},
	{
		"a device that is only a word",
		base + "device = \"speaker\"\n",
		[]string{
			`dalaba.toml:7: output[1].device: 看不懂设备“speaker”；请写 "auto"、"hw:" 或 "plughw:" 开头的声卡名、"alsa:名称"、"wav:文件" 或 "null:"；“dalaba devices”可列出声卡`,
		},
		[]string{
			`dalaba.toml:7: output[1].device: "speaker" is no device; write "auto", a card such as "plughw:CARD=Device", "alsa:NAME", "wav:FILE" or "null:"; "dalaba devices" lists the cards`,
		},
	},
	{
		"wav without a file",
		base + "device = \"wav:\"\n",
		[]string{
			`dalaba.toml:7: output[1].device: “wav:”后面缺少文件名；请写成 "wav:build/out.wav" 的样子`,
		},
		[]string{
			`dalaba.toml:7: output[1].device: there is no file after "wav:"; write it like "wav:build/out.wav"`,
		},
	},
	{
		"two outputs on one card",
		base + `device = "plughw:CARD=A"
[[output]]
name = "东头"
device = "hw:CARD=A"
`,
		[]string{
			"dalaba.toml:10: output[2].device: 设备“hw:CARD=A”已由第 7 行的输出占用；请给每个输出各配一个设备（null: 除外）",
		},
		[]string{
			`dalaba.toml:10: output[2].device: the output in line 7 has the device "hw:CARD=A" already; give each output a device of its own (null: may be shared)`,
		},
	},
	{
		"two outputs that both leave the device out",
		base + `[[output]]
name = "东头"
`,
		[]string{
			"dalaba.toml:7: output[2].device: 设备“auto”已由第 5 行的输出占用；请给每个输出各配一个设备（null: 除外）",
		},
		[]string{
			`dalaba.toml:7: output[2].device: the output in line 5 has the device "auto" already; give each output a device of its own (null: may be shared)`,
		},
	},
	{
		"residents below zero",
		base + "residents = -1\n",
		[]string{
			"dalaba.toml:7: output[1].residents: -1 超出范围 0 到 1000000；请写 0 到 1000000 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:7: output[1].residents: -1 is not within 0 to 1000000; write a whole number from 0 to 1000000, without quotes",
		},
	},
	{
		"residents as text",
		base + "residents = \"420\"\n",
		[]string{
			"dalaba.toml:7: output[1].residents: 这里要写整数，写成了文字；请写成 residents = 420",
		},
		[]string{
			"dalaba.toml:7: output[1].residents: this must be a whole number, not text; write residents = 420",
		},
	},
	{
		"an output louder than full",
		base + "level_db = 6\n",
		[]string{
			"dalaba.toml:7: output[1].level_db: 6 超出范围 -60 到 0 dB；请写 -60 到 0 的分贝数，不加引号",
		},
		[]string{
			"dalaba.toml:7: output[1].level_db: 6 is not within -60 to 0 dB; write decibels from -60 to 0, without quotes",
		},
	},
	{
		"a level that is no number",
		base + "level_db = nan\n",
		[]string{
			"dalaba.toml:7: output[1].level_db: nan 超出范围 -60 到 0 dB；请写 -60 到 0 的分贝数，不加引号",
		},
		[]string{
			"dalaba.toml:7: output[1].level_db: nan is not within -60 to 0 dB; write decibels from -60 to 0, without quotes",
		},
	},
	{
		"a level as text",
		base + "level_db = \"-6dB\"\n",
		[]string{
			"dalaba.toml:7: output[1].level_db: 这里要写数字，写成了文字；请写成 level_db = -6",
		},
		[]string{
			"dalaba.toml:7: output[1].level_db: this must be a number, not text; write level_db = -6",
		},
	},
	{
		"an extra delay too long",
		base + "extra_delay = \"3s\"\n",
		[]string{
			`dalaba.toml:7: output[1].extra_delay: 3s 超出范围 0s 到 2s；请写 "0s" 到 "2s" 的时长，单位 h、m、s、ms，加英文双引号`,
		},
		[]string{
			`dalaba.toml:7: output[1].extra_delay: 3s is not within 0s to 2s; write a duration from "0s" to "2s" with units h, m, s or ms, in double quotes`,
		},
	},
	{
		"a duration without a unit",
		base + "extra_delay = \"200\"\n",
		[]string{
			`dalaba.toml:7: output[1].extra_delay: “200”不是时长；请写 "0s" 到 "2s" 的时长，单位 h、m、s、ms，加英文双引号`,
		},
		[]string{
			`dalaba.toml:7: output[1].extra_delay: "200" is no duration; write a duration from "0s" to "2s" with units h, m, s or ms, in double quotes`,
		},
	},
	{
		"a duration as a number",
		base + "extra_delay = 200\n",
		[]string{
			`dalaba.toml:7: output[1].extra_delay: 这里要写文字，写成了整数；请写 "0s" 到 "2s" 的时长，单位 h、m、s、ms，加英文双引号`,
		},
		[]string{
			`dalaba.toml:7: output[1].extra_delay: this must be text, not a whole number; write a duration from "0s" to "2s" with units h, m, s or ms, in double quotes`,
		},
	},
	{
		"quiet hours that overlap",
		base + `[[quiet]]
from = "21:00"
to = "06:00"
[[quiet]]
from = "05:00"
to = "07:00"
`,
		[]string{
			"dalaba.toml:10: quiet[2]: 与第 7 行的免打扰时间重叠；请合并成一段，或错开时间或星期",
		},
		[]string{
			"dalaba.toml:10: quiet[2]: it overlaps the quiet hours in line 7; join the two, or move one to other hours or days",
		},
	},
	{
		"dayparts that overlap on Sunday only",
		base + `[[daypart]]
from = "21:00"
to = "06:00"
days = ["sat"]
level_db = -3
[[daypart]]
from = "05:00"
to = "07:00"
days = ["周日"]
level_db = -6
`,
		[]string{
			"dalaba.toml:12: daypart[2]: 与第 7 行的时段重叠，音量无法确定；请错开两者的时间或星期",
		},
		[]string{
			"dalaba.toml:12: daypart[2]: it overlaps the daypart in line 7, so the level is not known; move one of the two to other hours or days",
		},
	},
	{
		"quiet hours that end when they begin",
		base + `[[quiet]]
from = "06:00"
to = "06:00"
`,
		[]string{
			`dalaba.toml:9: quiet[1].to: 开始和结束是同一时刻；全天请写 from = "00:00"、to = "24:00"`,
		},
		[]string{
			`dalaba.toml:9: quiet[1].to: it ends when it begins; for a whole day write from = "00:00" and to = "24:00"`,
		},
	},
	{
		"quiet hours from 24:00",
		base + `[[quiet]]
from = "24:00"
to = "06:00"
`,
		[]string{
			`dalaba.toml:8: quiet[1].from: 开始时刻不能是 24:00；请写 "00:00"`,
		},
		[]string{
			`dalaba.toml:8: quiet[1].from: a stretch cannot begin at 24:00; write "00:00"`,
		},
	},
	{
		"quiet hours at a time of no day",
		base + `[[quiet]]
from = "25:00"
to = "6:00"
`,
		[]string{
			`dalaba.toml:8: quiet[1].from: “25:00”不是一天中的时刻；请写成四位数的时刻，例如 from = "06:30"（00:00 到 24:00）`,
			`dalaba.toml:9: quiet[1].to: “6:00”不是一天中的时刻；请写成 "06:00"`,
		},
		[]string{
			`dalaba.toml:8: quiet[1].from: "25:00" is no time of day; write four digits, such as from = "06:30" (00:00 to 24:00)`,
			`dalaba.toml:9: quiet[1].to: "6:00" is no time of day; write "06:00"`,
		},
	},
	{
		"quiet hours without an end",
		base + `[[quiet]]
from = "21:00"
`,
		[]string{
			`dalaba.toml:7: quiet[1].to: 缺少必填的键；请加上，例如 to = "06:30"`,
		},
		[]string{
			`dalaba.toml:7: quiet[1].to: the key is required; add it, such as to = "06:30"`,
		},
	},
	{
		"a weekday that is none",
		base + `[[quiet]]
from = "21:00"
to = "22:00"
days = ["周八", "mon"]
`,
		[]string{
			`dalaba.toml:10: quiet[1].days: “周八”不是星期几，也不是“工作日”或“节假日”；请写 "周一" 到 "周日"、"工作日"、"节假日"，或 "mon" 到 "sun"`,
		},
		[]string{
			`dalaba.toml:10: quiet[1].days: "周八" is no day of the week, and not workday or holiday; write "mon" to "sun", "workday" or "holiday"`,
		},
	},
	{
		"days that are no list",
		base + `[[quiet]]
from = "21:00"
to = "22:00"
days = "周一"
`,
		[]string{
			`dalaba.toml:10: quiet[1].days: 这里要写列表，写成了文字；请写成 days = ["周一"]`,
		},
		[]string{
			`dalaba.toml:10: quiet[1].days: this must be a list, not text; write days = ["周一"]`,
		},
	},
	{
		"no days at all",
		base + `[[quiet]]
from = "21:00"
to = "22:00"
days = []
`,
		[]string{
			`dalaba.toml:10: quiet[1].days: 列表是空的；请至少写一项，例如 days = ["周一"]，或删掉这个键`,
		},
		[]string{
			`dalaba.toml:10: quiet[1].days: the list is empty; name at least one, such as days = ["mon"], or delete the key`,
		},
	},
	{
		"a day that is a number",
		base + `[[quiet]]
from = "21:00"
to = "22:00"
days = [1]
`,
		[]string{
			`dalaba.toml:10: quiet[1].days: 这里要写文字，写成了整数；请用方括号和双引号，例如 days = ["周一"]`,
		},
		[]string{
			`dalaba.toml:10: quiet[1].days: this must be text, not a whole number; use brackets and double quotes, such as days = ["mon"]`,
		},
	},
	{
		"a daypart without a level",
		base + `[[daypart]]
from = "06:00"
to = "07:00"
`,
		[]string{
			"dalaba.toml:7: daypart[1].level_db: 缺少必填的键；请加上，例如 level_db = -6",
		},
		[]string{
			"dalaba.toml:7: daypart[1].level_db: the key is required; add it, such as level_db = -6",
		},
	},
	{
		"a playlist without clips",
		base + `[[playlist]]
name = "健康"
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			`dalaba.toml:7: playlist[1]: 节目单没有音频；请加上 series = "系列名" 或 clips = ["clips/*.mp3"]`,
		},
		[]string{
			`dalaba.toml:7: playlist[1]: the playlist has no clips; add series = "NAME" or clips = ["clips/*.mp3"]`,
		},
	},
	{
		"a playlist with clips and a series",
		good + `clips = ["clips/*.mp3"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:9: playlist[1].series: 同时写了 clips 和 series；请只保留其中一个",
		},
		[]string{
			"dalaba.toml:9: playlist[1].series: both clips and series are given; keep one of the two",
		},
	},
	{
		"a series without clips",
		base + `[[playlist]]
name = "健康"
series = "健康课"
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:9: playlist[1].series: 音频库里没有系列“健康课”；请先用“dalaba import”导入，或核对系列名",
		},
		[]string{
			`dalaba.toml:9: playlist[1].series: the library holds no series "健康课"; import it with "dalaba import", or check its name`,
		},
	},
	{
		"a pattern that matches nothing",
		base + `[[playlist]]
name = "健康"
clips = ["none/*.mp3"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:9: playlist[1].clips: “none/*.mp3”没有匹配到任何文件；请检查路径 none/*.mp3（相对于配置文件所在文件夹）",
		},
		[]string{
			`dalaba.toml:9: playlist[1].clips: "none/*.mp3" matches no file; check the path none/*.mp3 (relative to the config's folder)`,
		},
	},
	{
		"a file that an import converts",
		base + `[[playlist]]
name = "健康"
clips = ["stereo/*.mp3"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:9: playlist[1].clips: “stereo/*.mp3”里有不能播出的文件：a.mp3：立体声；运行一次“dalaba import stereo/*.mp3”转换好，这一行不用改",
		},
		[]string{
			`dalaba.toml:9: playlist[1].clips: "stereo/*.mp3" holds a file that cannot air: a.mp3: 立体声; run "dalaba import stereo/*.mp3" once, which converts them; this line stays as it is`,
		},
	},
	{
		"a file that cannot air",
		base + `[[playlist]]
name = "健康"
clips = ["bad/*.mp3"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:9: playlist[1].clips: “bad/*.mp3”里有 2 个文件不能直接播出，第一个是 bad.mp3: no MP3；请在那里换上完好的录音文件，或改掉这一项",
		},
		[]string{
			`dalaba.toml:9: playlist[1].clips: "bad/*.mp3" holds 2 files that cannot air as they are, the first is bad.mp3: no MP3; put a good recording in its place, or change this entry`,
		},
	},
	{
		"a clip ID that the library does not hold",
		base + `[[playlist]]
name = "健康"
clips = ["ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:9: playlist[1].clips: 音频库里没有 ffffffffffff；请先用“dalaba import”导入，或核对编号；“dalaba clips”列出库里的音频",
		},
		[]string{
			`dalaba.toml:9: playlist[1].clips: the library holds no clip ffffffffffff; import it with "dalaba import", or check its ID; "dalaba clips" lists the library`,
		},
	},
	{
		"a clip listed twice",
		base + `[[playlist]]
name = "健康"
clips = ["clips/1.mp3",
  "clips/1.mp3"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:10: playlist[1].clips: “clips/1.mp3”与第 9 行重复；同一条音频在节目单里只写一次",
		},
		[]string{
			`dalaba.toml:10: playlist[1].clips: "clips/1.mp3" stands in line 9 already; list a clip once in a playlist`,
		},
	},
	{
		"an empty clip list",
		base + `[[playlist]]
name = "健康"
clips = []
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			`dalaba.toml:9: playlist[1].clips: 列表是空的；请至少写一项，例如 clips = ["clips/*.mp3"]，或删掉这个键`,
		},
		[]string{
			`dalaba.toml:9: playlist[1].clips: the list is empty; name at least one, such as clips = ["clips/*.mp3"], or delete the key`,
		},
	},
	{
		"an unknown order",
		good + `order = "random"
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			`dalaba.toml:10: playlist[1].order: 不能是“random”；请写成 "shuffle"`,
		},
		[]string{
			`dalaba.toml:10: playlist[1].order: it cannot be "random"; write "shuffle"`,
		},
	},
	{
		"a playlist that no slot airs",
		good,
		[]string{
			"dalaba.toml:8: playlist[1].name: （提醒）没有播出时段用到节目单“健康”；请加上 [[slot]]，或删掉这个节目单",
		},
		[]string{
			`dalaba.toml:8: playlist[1].name: (warning) no slot airs the playlist "健康"; add a [[slot]] for it, or delete it`,
		},
	},
	{
		"a slot whose playlist does not exist",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
[[slot]]
name = "晚间"
playlist = "新闻"
cron = "0 8 * * *"
`,
		[]string{
			`dalaba.toml:16: slot[2].playlist: 没有节目单“新闻”；请加上 [[playlist]] name = "新闻"，或改用已有的名称`,
		},
		[]string{
			`dalaba.toml:16: slot[2].playlist: there is no playlist "新闻"; add a [[playlist]] with name = "新闻", or name one that is there`,
		},
	},
	{
		"a slot whose playlist is misspelt",
		good + `[[slot]]
name = "早间"
playlist = "健慷"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:12: slot[1].playlist: 没有节目单“健慷”；想写的可能是 健康",
		},
		[]string{
			`dalaba.toml:12: slot[1].playlist: there is no playlist "健慷"; did you mean 健康`,
		},
	},
	{
		"a slot without anything",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
[[slot]]
`,
		[]string{
			`dalaba.toml:14: slot[2].name: 缺少必填的键；请加上，例如 name = "早间健康"`,
			`dalaba.toml:14: slot[2].playlist: 缺少必填的键；请加上，例如 playlist = "健康微课堂"`,
			`dalaba.toml:14: slot[2].cron: 缺少必填的键；请加上，例如 cron = "30 7 * * *"`,
		},
		[]string{
			`dalaba.toml:14: slot[2].name: the key is required; add it, such as name = "早间健康"`,
			`dalaba.toml:14: slot[2].playlist: the key is required; add it, such as playlist = "健康微课堂"`,
			`dalaba.toml:14: slot[2].cron: the key is required; add it, such as cron = "30 7 * * *"`,
		},
	},
	{
		"an output that does not exist",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
outputs = ["村口", "村囗", "east"]
`,
		[]string{
			"dalaba.toml:14: slot[1].outputs: 没有输出“村囗”；想写的可能是 村口",
			`dalaba.toml:14: slot[1].outputs: 没有输出“east”；请加上 [[output]] name = "east"，或改用已有的名称`,
		},
		[]string{
			`dalaba.toml:14: slot[1].outputs: there is no output "村囗"; did you mean 村口`,
			`dalaba.toml:14: slot[1].outputs: there is no output "east"; add an [[output]] with name = "east", or name one that is there`,
		},
	},
	{
		"an output named twice",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
outputs = ["村口", "村口"]
`,
		[]string{
			"dalaba.toml:14: slot[1].outputs: 输出“村口”写了两次；请只保留一次",
		},
		[]string{
			`dalaba.toml:14: slot[1].outputs: the output "村口" is named twice; name it once`,
		},
	},
	{
		"a count of 0",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
count = 0
`,
		[]string{
			"dalaba.toml:14: slot[1].count: 0 超出范围 1 到 500；请写 1 到 500 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:14: slot[1].count: 0 is not within 1 to 500; write a whole number from 1 to 500, without quotes",
		},
	},
	{
		"a count of 501",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
count = 501
`,
		[]string{
			"dalaba.toml:14: slot[1].count: 501 超出范围 1 到 500；请写 1 到 500 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:14: slot[1].count: 501 is not within 1 to 500; write a whole number from 1 to 500, without quotes",
		},
	},
	{
		"a count that is no whole number",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
count = 1.5
`,
		[]string{
			"dalaba.toml:14: slot[1].count: 这里要写整数，写成了小数；请写 1 到 500 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:14: slot[1].count: this must be a whole number, not a decimal fraction; write a whole number from 1 to 500, without quotes",
		},
	},
	{
		"last day before the first",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
from = 2026-12-01
to = "2026-11-30"
`,
		[]string{
			"dalaba.toml:15: slot[1].to: 开始日期 2026-12-01 在结束日期 2026-11-30 之后；请对调 from 和 to",
		},
		[]string{
			"dalaba.toml:15: slot[1].to: its first day 2026-12-01 comes after its last day 2026-11-30; swap from and to",
		},
	},
	{
		"a day that no calendar has",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
from = "2026-02-30"
except = [2026-02-29, "soon"]
`,
		[]string{
			`dalaba.toml:14: slot[1].from: 2026 年 2 月没有 30 日；这个月的最后一天是 "2026-02-28"`,
			`dalaba.toml:15: slot[1].except: 2026 年 2 月没有 29 日；这个月的最后一天是 "2026-02-28"`,
			"dalaba.toml:15: slot[1].except: “soon”不是有效日期；请写成 2026-12-31 的样子",
		},
		[]string{
			`dalaba.toml:14: slot[1].from: there is no day 30 in month 2 of 2026; its last day is "2026-02-28"`,
			`dalaba.toml:15: slot[1].except: there is no day 29 in month 2 of 2026; its last day is "2026-02-28"`,
			`dalaba.toml:15: slot[1].except: "soon" is no date of the calendar; write it like 2026-12-31`,
		},
	},
	{
		"exceptions that are no list",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
except = 2026-10-01
`,
		[]string{
			"dalaba.toml:14: slot[1].except: 这里要写列表，写成了日期；请写成 except = [\"2026-10-01\"]",
		},
		[]string{
			"dalaba.toml:14: slot[1].except: this must be a list, not a date; write except = [\"2026-10-01\"]",
		},
	},
	{
		"a priority out of range",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
priority = 10
`,
		[]string{
			"dalaba.toml:14: slot[1].priority: 10 超出范围 1 到 9；请写 1 到 9 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:14: slot[1].priority: 10 is not within 1 to 9; write a whole number from 1 to 9, without quotes",
		},
	},
	{
		"a window too short",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
window = "500ms"
`,
		[]string{
			`dalaba.toml:14: slot[1].window: 500ms 超出范围 1s 到 1h；请写 "1s" 到 "1h" 的时长，单位 h、m、s、ms，加英文双引号`,
		},
		[]string{
			`dalaba.toml:14: slot[1].window: 500ms is not within 1s to 1h; write a duration from "1s" to "1h" with units h, m, s or ms, in double quotes`,
		},
	},
	{
		"a window too long",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
window = "2h"
`,
		[]string{
			`dalaba.toml:14: slot[1].window: 2h 超出范围 1s 到 1h；请写 "1s" 到 "1h" 的时长，单位 h、m、s、ms，加英文双引号`,
		},
		[]string{
			`dalaba.toml:14: slot[1].window: 2h is not within 1s to 1h; write a duration from "1s" to "1h" with units h, m, s or ms, in double quotes`,
		},
	},
	{
		"until while missed airings are skipped",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
until = "09:00"
`,
		[]string{
			`dalaba.toml:14: slot[1].until: 错过后跳过（missed = "skip"）时，until 不起作用；请加上 missed = "late" 或 missed = "make-good"，或删掉 until`,
		},
		[]string{
			`dalaba.toml:14: slot[1].until: until means nothing while missed = "skip"; add missed = "late" or missed = "make-good", or delete until`,
		},
	},
	{
		"until before every airing",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
missed = "late"
until = "07:00"
`,
		[]string{
			"dalaba.toml:15: slot[1].until: 截止时刻 07:00 早于每一次播出；请写当天播出之后的时刻，或删掉 until",
		},
		[]string{
			"dalaba.toml:15: slot[1].until: until 07:00 comes before every airing of the slot; write a time after the airing, or delete until",
		},
	},
	{
		"until at the day's first instant",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
missed = "late"
until = "00:00"
`,
		[]string{
			`dalaba.toml:15: slot[1].until: 截止时刻是一天的开头，等于不补；到当天结束请写 "24:00"，或删掉 until`,
		},
		[]string{
			`dalaba.toml:15: slot[1].until: the day's first instant leaves no time to start late; for the end of the day write "24:00", or delete until`,
		},
	},
	{
		"an unknown policy for misses",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
missed = "makegood"
`,
		[]string{
			`dalaba.toml:14: slot[1].missed: 不能是“makegood”；请写成 "make-good"`,
		},
		[]string{
			`dalaba.toml:14: slot[1].missed: it cannot be "makegood"; write "make-good"`,
		},
	},
	{
		"an unknown policy after an interruption",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
after = "resume"
`,
		[]string{
			`dalaba.toml:14: slot[1].after: 不能是“resume”；请从这些里选："rejoin"、"restart"、"drop"`,
		},
		[]string{
			`dalaba.toml:14: slot[1].after: it cannot be "resume"; choose one of: "rejoin", "restart", "drop"`,
		},
	},
	{
		"a slot too loud",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
level_db = 13
`,
		[]string{
			"dalaba.toml:14: slot[1].level_db: 13 超出范围 -60 到 12 dB；请写 -60 到 12 的分贝数，不加引号",
		},
		[]string{
			"dalaba.toml:14: slot[1].level_db: 13 is not within -60 to 12 dB; write decibels from -60 to 12, without quotes",
		},
	},
	{
		"a chime as text",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
chime = "yes"
`,
		[]string{
			"dalaba.toml:14: slot[1].chime: 这里要写开关值（true 或 false），写成了文字；请写成 chime = true",
		},
		[]string{
			"dalaba.toml:14: slot[1].chime: this must be true or false, not text; write chime = true",
		},
	},
	{
		"a slot that always falls in quiet hours",
		good + `[[quiet]]
from = "07:00"
to = "08:00"
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			"dalaba.toml:16: slot[1].cron: （提醒）每一次播出都落在免打扰时间里，不会出声；请改 cron 或免打扰时间",
		},
		[]string{
			"dalaba.toml:16: slot[1].cron: (warning) every airing falls in quiet hours and will not sound; change cron or the quiet hours",
		},
	},
	{
		"a slot whose days and cron never meet",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * mon"
days = ["周二"]
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: from、to、except 和 days 合在一起，没有一天会播出；请核对 cron 与这几项",
		},
		[]string{
			"dalaba.toml:13: slot[1].cron: from, to, except and days together leave no day on which it airs; check cron against them",
		},
	},
	{
		"a slot whose last day comes before any airing",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 15 * *"
from = 2026-03-01
to = 2026-03-10
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: from、to、except 和 days 合在一起，没有一天会播出；请核对 cron 与这几项",
		},
		[]string{
			"dalaba.toml:13: slot[1].cron: from, to, except and days together leave no day on which it airs; check cron against them",
		},
	},
	{
		"an empty cron spec",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = ""
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 内容为空；请写“分 时 日 月 星期”五项，例如每天七点半是 "30 7 * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: it is empty; write minute, hour, day, month and weekday, such as "30 7 * * *" for half past seven each day`,
		},
	},
	{
		"a cron spec of four fields",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * *"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 播出时间有 4 项，应为 5 项（或前面加秒共 6 项）；请写成 "30 7 * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: it has 4 fields; five are wanted (or six with seconds first); write "30 7 * * *"`,
		},
	},
	{
		"minute 60",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "60 7 * * *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 第 1 项（分）“60”超出范围；请用 0 到 59",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 1 (minute): "60" is out of range; use 0 to 59`,
		},
	},
	{
		"hour 24 with seconds first",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 0 24 * * *"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 第 3 项（时）“24”超出范围；请写成 "0 0 0 * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 3 (hour): "24" is out of range; write "0 0 0 * * *"`,
		},
	},
	{
		"month 13",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 7 1 13 *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 第 4 项（月）“13”超出范围；请用 1 到 12，或 jan 到 dec",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 4 (month): "13" is out of range; use 1 to 12, or jan to dec`,
		},
	},
	{
		"day 0",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 7 0 * *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 第 3 项（日）“0”超出范围；请用 1 到 31",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 3 (day): "0" is out of range; use 1 to 31`,
		},
	},
	{
		"Sunday as 7",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 7 * * 7"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 第 5 项（星期）的星期日不能写 7；请写成 "0 7 * * 0"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 5 (weekday): Sunday is not 7; write "0 7 * * 0"`,
		},
	},
	{
		"hours that run backwards",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 22-5 * * *"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 第 2 项（时）“22-5”的范围前大后小；请写成 "0 0-5,22-23 * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 2 (hour): "22-5" runs backwards; write "0 0-5,22-23 * * *"`,
		},
	},
	{
		"a step of 0",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "*/0 * * * *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 第 1 项（分）“*/0”的间隔不是正整数；请写成 */15 的样子",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 1 (minute): the step of "*/0" is no positive whole number; write it like */15`,
		},
	},
	{
		"a weekday of no language",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 7 * * 周一"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 第 5 项（星期）看不懂“周一”；请写成 "0 7 * * 1"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 5 (weekday): "周一" means nothing; write "0 7 * * 1"`,
		},
	},
	{
		"an empty place in a list",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 7,,9 * * *"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 第 2 项（时）“7,,9”的逗号之间缺了内容；请写成 "0 7,9 * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 2 (hour): "7,,9" has an empty place between commas; write "0 7,9 * * *"`,
		},
	},
	{
		"a star that begins a range",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "*-5 7 * * *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 第 1 项（分）看不懂“*-5”；请用 0 到 59",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: field 1 (minute): "*-5" means nothing; use 0 to 59`,
		},
	},
	{
		"cron with a zone",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "CRON_TZ=UTC 0 7 * * *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 播出时间里不能写时区；请改 [site] 里的 timezone",
		},
		[]string{
			"dalaba.toml:13: slot[1].cron: a zone cannot stand in a cron spec; set timezone in [site] instead",
		},
	},
	{
		"every half hour from the start",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "@every 30m"
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: @every 从开机算起，每次重启都会变；请写固定的时刻，例如每半小时是 "*/30 * * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: @every counts from the start of the daemon, so that each restart moves it; name fixed instants, such as "*/30 * * * *" for every half hour`,
		},
	},
	{
		"a nickname that is none",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "@dayly"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: 不认识的简写“@dayly”；可用的有：@yearly、@annually、@monthly、@weekly、@daily、@midnight、@hourly",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: there is no nickname "@dayly"; use one of: @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly`,
		},
	},
	{
		"30 February",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "0 7 30 2 *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: “0 7 30 2 *”这样的日子不存在，永远不会播出；请核对日和月，例如二月没有 30 日",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: no calendar has a day such as "0 7 30 2 *", so it would never air; check day and month; February has no 30th`,
		},
	},
	{
		"a cron spec that is a list",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = ["30 7 * * *"]
`,
		[]string{
			`dalaba.toml:13: slot[1].cron: 这里要写文字，写成了列表；请写成 cron = "30 7 * * *"`,
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: this must be text, not a list; write cron = "30 7 * * *"`,
		},
	},
	{
		"speech without a program",
		base + `[ingest]
speech = [""]
`,
		[]string{
			`dalaba.toml:8: ingest.speech: 朗读命令没有写程序；第一项写程序名，例如 speech = ["espeak-ng", "--stdin", "--stdout"]`,
		},
		[]string{
			`dalaba.toml:8: ingest.speech: the command names no program; put the program first, such as speech = ["espeak-ng", "--stdin", "--stdout"]`,
		},
	},
	{
		"a pronunciation that is no text, and one that is empty",
		base + `[ingest.words]
"六安" = 1
"行长" = ""
`,
		[]string{
			`dalaba.toml:8: ingest.words.六安: 这里要写文字，写成了整数；请在 [ingest.words] 下面写成 "六安" = "陆安" 的样子，左边是写法，右边是读法`,
			`dalaba.toml:9: ingest.words.行长: 内容为空；请在 [ingest.words] 下面写成 "六安" = "陆安" 的样子，左边是写法，右边是读法`,
		},
		[]string{
			`dalaba.toml:8: ingest.words.六安: this must be text, not a whole number; below [ingest.words] write "WRITTEN" = "SPOKEN", both in double quotes`,
			`dalaba.toml:9: ingest.words.行长: it is empty; below [ingest.words] write "WRITTEN" = "SPOKEN", both in double quotes`,
		},
	},
	{
		"a relay of no kind",
		base + `[amplifier]
relay = "17"
`,
		[]string{
			`dalaba.toml:8: amplifier.relay: 看不懂继电器“17”；请写 "gpio:GPIO17"、"serial:/dev/ttyUSB0" 或 "command:程序" 的样子`,
		},
		[]string{
			`dalaba.toml:8: amplifier.relay: "17" is no relay; write it like "gpio:GPIO17", "serial:/dev/ttyUSB0" or "command:PROGRAM"`,
		},
	},
	{
		"a tone that ends before it may",
		base + `[alert]
tone_min = "10s"
tone_max = "5s"
`,
		[]string{
			`dalaba.toml:9: alert.tone_max: 提示音最短 10s，最长却只有 5s；把 tone_max 改得不小于 tone_min`,
		},
		[]string{
			`dalaba.toml:9: alert.tone_max: the tone is at least 10s long, but at most 5s; make tone_max no less than tone_min`,
		},
	},
	{
		"anchors that are not there",
		base + `[alert]
anchors = ["nowhere/*.pem"]
`,
		[]string{
			`dalaba.toml:8: alert.anchors: 找不到文件“nowhere/*.pem”；检查路径；相对路径从配置文件所在的文件夹算起`,
		},
		[]string{
			`dalaba.toml:8: alert.anchors: there is no file "nowhere/*.pem"; check the path; relative ones begin at the config's folder`,
		},
	},
	{
		"messages believed from nowhere",
		base + `[alert]
unsigned = ["internet"]
`,
		[]string{
			`dalaba.toml:8: alert.unsigned: “internet”不是消息的来路；请写成 unsigned = ["hand", "drop"] 的样子（手工、文件夹），都不信就写 []`,
		},
		[]string{
			`dalaba.toml:8: alert.unsigned: "internet" is no way by which messages come; write unsigned = ["hand", "drop"], or [] to believe none`,
		},
	},
	{
		"a position off the globe",
		base + `[alert]
position = [133.2, 120]
`,
		[]string{
			`dalaba.toml:8: alert.position: 看不懂这个位置；请写成 position = [33.20, 120.15] 的样子：先纬度，后经度`,
		},
		[]string{
			`dalaba.toml:8: alert.position: this is no position; write it like position = [33.20, 120.15]: latitude, then longitude`,
		},
	},
	{
		"a microphone without a program",
		base + `[microphone]
trigger = "gpio:GPIO27"
`,
		[]string{
			`dalaba.toml:7: microphone.capture: 缺少必填的键；请加上，例如 capture = ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1"]`,
		},
		[]string{
			`dalaba.toml:7: microphone.capture: the key is required; add it, such as capture = ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1"]`,
		},
	},
	{
		"a trigger of no kind",
		base + `[microphone]
capture = ["arecord"]
trigger = "27"
`,
		[]string{
			`dalaba.toml:9: microphone.trigger: 看不懂触发方式“27”；请写 "gpio:GPIO27" 的样子`,
		},
		[]string{
			`dalaba.toml:9: microphone.trigger: "27" is no trigger; write it like "gpio:GPIO27"`,
		},
	},
	{
		"a winner that nobody knows",
		base + `[county]
wins = "me"
`,
		[]string{
			`dalaba.toml:8: county.wins: 不能是“me”；请从这些里选："priority"、"county"、"local"`,
		},
		[]string{
			`dalaba.toml:8: county.wins: it cannot be "me"; choose one of: "priority", "county", "local"`,
		},
	},
	{
		"a cache that listens nowhere",
		base + `[county]
serve = "8090"
`,
		[]string{
			`dalaba.toml:8: county.serve: “8090”不是可以监听的地址；请写 ":8090" 的样子`,
		},
		[]string{
			`dalaba.toml:8: county.serve: "8090" is no address to listen on; write it like ":8090"`,
		},
	},
	{
		"a neighbour without a scheme",
		base + `[county]
peers = ["192.168.1.20:8090"]
`,
		[]string{
			`dalaba.toml:8: county.peers: “192.168.1.20:8090”不是邻近终端的地址；请写 "http://192.168.1.20:8090" 的样子`,
		},
		[]string{
			`dalaba.toml:8: county.peers: "192.168.1.20:8090" is no neighbour's address; write it like "http://192.168.1.20:8090"`,
		},
	},
	{
		"no backups",
		base + `[store]
backups = 0
`,
		[]string{
			"dalaba.toml:8: store.backups: 0 超出范围 1 到 90；请写 1 到 90 的整数，不加引号",
		},
		[]string{
			"dalaba.toml:8: store.backups: 0 is not within 1 to 90; write a whole number from 1 to 90, without quotes",
		},
	},
	{
		"an inbox that is the data folder",
		site + `inbox = "./d/"
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:5: site.inbox: 放进这个文件夹的文件会被收走，而 data_dir（d）就是它、在它里面或包着它；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
		},
		[]string{
			`dalaba.toml:5: site.inbox: files in this folder are taken and moved aside, and data_dir (d) is this folder, in it or around it; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
		},
	},
	{
		"an inbox within the data folder and a drop folder around it",
		site + `inbox = "d/inbox"
[[output]]
name = "村口"
[alert]
drop = ".."
`,
		[]string{
			`dalaba.toml:5: site.inbox: 放进这个文件夹的文件会被收走，而 data_dir（d）就是它、在它里面或包着它；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
			`dalaba.toml:9: alert.drop: 放进这个文件夹的文件会被收走，而 data_dir（d）就是它、在它里面或包着它；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
		},
		[]string{
			`dalaba.toml:5: site.inbox: files in this folder are taken and moved aside, and data_dir (d) is this folder, in it or around it; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
			`dalaba.toml:9: alert.drop: files in this folder are taken and moved aside, and data_dir (d) is this folder, in it or around it; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
		},
	},
	{
		"an inbox that holds the config itself",
		strings.Replace(site, `"d"`, `"/var/lib/dalaba"`, 1) + `inbox = "."
[[output]]
name = "村口"
`,
		[]string{
			`dalaba.toml:5: site.inbox: 放进这个文件夹的文件会被收走，而 dalaba.toml 在它里面；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
		},
		[]string{
			`dalaba.toml:5: site.inbox: files in this folder are taken and moved aside, and dalaba.toml lies in it; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
		},
	},
	{
		"an inbox that holds the clips of a playlist, and a drop folder that holds a recording",
		site + `inbox = "clips"
[[output]]
name = "村口"
device = "wav:alerts/out/a.wav"
[alert]
drop = "alerts"
[[playlist]]
name = "健康"
clips = ["clips/*.mp3"]
[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			`dalaba.toml:5: site.inbox: 放进这个文件夹的文件会被收走，而 clips/*.mp3 在它里面；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
			`dalaba.toml:10: alert.drop: 放进这个文件夹的文件会被收走，而 alerts/out/a.wav 在它里面；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
		},
		[]string{
			`dalaba.toml:5: site.inbox: files in this folder are taken and moved aside, and clips/*.mp3 lies in it; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
			`dalaba.toml:10: alert.drop: files in this folder are taken and moved aside, and alerts/out/a.wav lies in it; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
		},
	},
	{
		"a drop folder within the inbox",
		site + `inbox = "in"
[[output]]
name = "村口"
[alert]
drop = "in/alerts"
`,
		[]string{
			`dalaba.toml:9: alert.drop: 和第 5 行的 site.inbox 是同一个文件夹，或一个包着另一个；请给它一个单独的文件夹，例如 "/srv/dalaba/inbox"，里面不放别的`,
		},
		[]string{
			`dalaba.toml:9: alert.drop: this and site.inbox of line 5 are one folder, or one holds the other; give it a folder of its own that holds nothing else, such as "/srv/dalaba/inbox"`,
		},
	},
	{
		"a key of too many parts",
		base + "a.b.c.d.e.f.g.h.i.j = 1\n[a.b.c.d.e.f.g.h.i]\n",
		[]string{
			"dalaba.toml:7: a.b.c.d.e.f.g.h.i: 键名用点分成了 8 段以上；请写成 [表] 下的“键 = 值”",
			"dalaba.toml:8: a.b.c.d.e.f.g.h.i: 键名用点分成了 8 段以上；请写成 [表] 下的“键 = 值”",
		},
		[]string{
			"dalaba.toml:7: a.b.c.d.e.f.g.h.i: the dotted key has more than 8 parts; write key = value below a [table]",
			"dalaba.toml:8: a.b.c.d.e.f.g.h.i: the dotted key has more than 8 parts; write key = value below a [table]",
		},
	},
	{
		"a folder for clips",
		base + "[[playlist]]\nname = \"健康\"\nclips = [\"testdata/\", \"clips/1.mp3\"]\n" + `[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
`,
		[]string{
			`dalaba.toml:9: playlist[1].clips: “testdata/”是文件夹；要播里面的音频，请写 clips = ["testdata/*.mp3"]`,
		},
		[]string{
			`dalaba.toml:9: playlist[1].clips: "testdata/" is a folder; to air what is in it, write clips = ["testdata/*.mp3"]`,
		},
	},
	{
		"steps that are no steps",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "*/100 * * * *"
[[slot]]
name = "午间"
playlist = "健康"
cron = "*/59 10-12/3 * * *"
[[slot]]
name = "晚间"
playlist = "健康"
cron = "0 */30 20/3 * * *"
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: （提醒）第 1 项（分）“*/100”的间隔比一轮还长，只等于 0；就要这样请直接写 0；要更长的间隔请改用后面几项",
			"dalaba.toml:17: slot[2].cron: （提醒）第 2 项（时）“10-12/3”的间隔比一轮还长，只等于 10；就要这样请直接写 10；要更长的间隔请改用后面几项",
		},
		[]string{
			`dalaba.toml:13: slot[1].cron: (warning) field 1 (minute): the step of "*/100" is longer than its range, so it means 0 alone; write 0 if that is meant, or say longer intervals with the fields that follow`,
			`dalaba.toml:17: slot[2].cron: (warning) field 2 (hour): the step of "10-12/3" is longer than its range, so it means 10 alone; write 10 if that is meant, or say longer intervals with the fields that follow`,
		},
	},
	{
		"more to air than there is time for",
		good + `[[slot]]
name = "早间"
playlist = "健康"
cron = "*/5 7 * * *"
count = 40
[[slot]]
name = "午间"
playlist = "健康"
cron = "*/5 12 * * *"
count = 30
[[slot]]
name = "一次"
playlist = "健康"
cron = "0 7 1 1 *"
from = "2026-01-01"
to = "2026-01-02"
count = 100
`,
		[]string{
			"dalaba.toml:13: slot[1].cron: （提醒）每次约播 6m40s，比两次之间的 5m 还长，后面的会等不到而错过；请减小 count，或拉长间隔",
		},
		[]string{
			"dalaba.toml:13: slot[1].cron: (warning) an airing lasts some 6m40s, longer than the 5m from one to the next, so some will be missed; lower count, or let more time pass between airings",
		},
	},
	{
		"a text in three quotes that does not end is reported where it begins",
		site + "inbox = \"\"\"in\nlanguag = \"en\"\nand so on\n[[output]]\nname = \"村口\"\nresidents = -1\n",
		[]string{
			"dalaba.toml:5:9: 引号没有配对；请在文字末尾补上引号",
		},
		[]string{
			"dalaba.toml:5:9: a quote is not closed; close the text with a quote",
		},
	},
	{
		"several faults at once, in the order of the file",
		`[site]
name = "村"
area = "12"
languag = "en"
[[output]]
name = "村口"
device = "tape:"
residents = -5
[[playlist]]
name = "健康"
series = "没有"
[[slot]]
name = "早间"
playlist = "健康"
cron = "0 25 * * *"
window = 5
`,
		[]string{
			`dalaba.toml:1: site.data_dir: 缺少必填的键；请加上，例如 data_dir = "/var/lib/dalaba"`,
			`dalaba.toml:3: site.area: 区划代码“12”不是 12 位数字；请填本村的 12 位统计用区划代码，例如 "341523100201"`,
			"dalaba.toml:4: site.languag: 不认识的键“languag”；想写的可能是 language",
			`dalaba.toml:7: output[1].device: 看不懂设备“tape:”；请写 "auto"、"hw:" 或 "plughw:" 开头的声卡名、"alsa:名称"、"wav:文件" 或 "null:"；“dalaba devices”可列出声卡`,
			"dalaba.toml:8: output[1].residents: -5 超出范围 0 到 1000000；请写 0 到 1000000 的整数，不加引号",
			"dalaba.toml:15: slot[1].cron: 第 2 项（时）“25”超出范围；请用 0 到 23",
			`dalaba.toml:16: slot[1].window: 这里要写文字，写成了整数；请写 "1s" 到 "1h" 的时长，单位 h、m、s、ms，加英文双引号`,
		},
		[]string{
			`dalaba.toml:1: site.data_dir: the key is required; add it, such as data_dir = "/var/lib/dalaba"`,
			`dalaba.toml:3: site.area: the area code "12" is not 12 digits; give the village's 12-digit division code, such as "341523100201"`,
			`dalaba.toml:4: site.languag: there is no key "languag"; did you mean language`,
			`dalaba.toml:7: output[1].device: "tape:" is no device; write "auto", a card such as "plughw:CARD=Device", "alsa:NAME", "wav:FILE" or "null:"; "dalaba devices" lists the cards`,
			"dalaba.toml:8: output[1].residents: -5 is not within 0 to 1000000; write a whole number from 0 to 1000000, without quotes",
			`dalaba.toml:15: slot[1].cron: field 2 (hour): "25" is out of range; use 0 to 23`,
			`dalaba.toml:16: slot[1].window: this must be text, not a whole number; write a duration from "1s" to "1h" with units h, m, s or ms, in double quotes`,
		},
	},
}

func TestABrokenConfigIsToldInBothLanguages(t *testing.T) {
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			c, problems := config.Read("dalaba.toml", []byte(b.text), shelf{})
			if (c == nil) != config.Refused(problems) {
				t.Errorf("config %v with problems %v", c, problems)
			}
			for lang, want := range map[say.Lang][]string{say.Chinese: b.zh, say.English: b.en} {
				var got []string
				for _, p := range problems {
					got = append(got, p.In(lang))
				}
				if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
					t.Errorf("%s: got\n%s\nwant\n%s", lang, g, w)
				}
			}
		})
	}
}

// unmended is a text with an error of the syntax in nearly every table, and what is
// reported of it as one error after another is mended.
const unmended = `[site]
name = 大坝村
area = "12"
data_dir = "d"
[[output]
name = "村口"
device = "null:"
levl_db = -3
[[output]]
name = “村尾”
device = "null:"
[[quiet]]
from = 22：00
to = "6点"
[[playlist]]
name = 健康
series = "没有"
[[playlist]]
name = "课"
clips = [
  "clips/*.mp3"
  "/srv/1.mp3", # a = 1
]
order = "random"
[[slot]]
name = "早间"
playlist = "健康"
outputs = ["村尾",
cron = "61 7 * * *"
[[slot]]
name = "晚间"
playlist = "课
cron = "30 19 * * *"
until = "18:00"
missed = late
`

func TestErrorsOfTheSyntaxAreReportedOneByOneAndThenAllOthers(t *testing.T) {
	text := unmended
	check := func(want ...string) {
		t.Helper()
		var got []string
		_, problems := config.Read("dalaba.toml", []byte(text), shelf{})
		for _, p := range problems {
			got = append(got, p.In(say.Chinese), p.In(say.English))
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("got\n%s\nwant\n%s", g, w)
		}
	}
	for _, c := range []struct{ bad, good, zh, en string }{
		{
			"大坝村", `"大坝村"`,
			`dalaba.toml:2:8: 等号后面的值看不懂；请写成 name = "大坝村"`,
			`dalaba.toml:2:8: the value after = cannot be read; write name = "大坝村"`,
		},
		{
			"[[output]\n", "[[output]]\n",
			"dalaba.toml:5:9: 表头的方括号没有配对；请写成 [site] 或 [[slot]] 的样子",
			"dalaba.toml:5:9: the brackets of the table header do not match; write it like [site] or [[slot]]",
		},
		{
			"“村尾”", `"村尾"`,
			`dalaba.toml:10:8: 引号之外出现了全角字符 “；请切换到英文输入法，改成半角的 "`,
			`dalaba.toml:10:8: the full-width character “ stands outside quotes; type the plain " instead`,
		},
		{
			"22：00", `"22:00"`,
			`dalaba.toml:13:10: 引号之外出现了全角字符 ：；请写成 from = "22:00"`,
			`dalaba.toml:13:10: the full-width character ： stands outside quotes; write from = "22:00"`,
		},
		{
			"= 健康", `= "健康"`,
			`dalaba.toml:16:8: 等号后面的值看不懂；请写成 name = "健康"`,
			`dalaba.toml:16:8: the value after = cannot be read; write name = "健康"`,
		},
		{
			`"clips/*.mp3"`, `"clips/*.mp3",`,
			"dalaba.toml:22:3: 这里之前的列表没有写完整；各项之间用英文逗号隔开，末尾补上 ]",
			"dalaba.toml:22:3: the list before this is not complete; put commas between the items and ] at the end",
		},
		{
			`["村尾",`, `["村尾"]`,
			"dalaba.toml:29:1: 这里之前的列表没有写完整；各项之间用英文逗号隔开，末尾补上 ]",
			"dalaba.toml:29:1: the list before this is not complete; put commas between the items and ] at the end",
		},
		{
			`"课` + "\n", `"课"` + "\n",
			"dalaba.toml:32:14: 引号没有配对；请在文字末尾补上引号",
			"dalaba.toml:32:14: a quote is not closed; close the text with a quote",
		},
		{
			"= late", `= "late"`,
			`dalaba.toml:35:10: 等号后面的值看不懂；请写成 missed = "late"`,
			`dalaba.toml:35:10: the value after = cannot be read; write missed = "late"`,
		},
	} {
		check(c.zh, c.en)
		text = strings.Replace(text, c.bad, c.good, 1)
	}
	check(
		`dalaba.toml:3: site.area: 区划代码“12”不是 12 位数字；请填本村的 12 位统计用区划代码，例如 "341523100201"`,
		`dalaba.toml:3: site.area: the area code "12" is not 12 digits; give the village's 12-digit division code, such as "341523100201"`,
		"dalaba.toml:8: output[1].levl_db: 不认识的键“levl_db”；想写的可能是 level_db",
		`dalaba.toml:8: output[1].levl_db: there is no key "levl_db"; did you mean level_db`,
		`dalaba.toml:14: quiet[1].to: “6点”不是一天中的时刻；请写成 "06:00"`,
		`dalaba.toml:14: quiet[1].to: "6点" is no time of day; write "06:00"`,
		"dalaba.toml:17: playlist[1].series: 音频库里没有系列“没有”；请先用“dalaba import”导入，或核对系列名",
		`dalaba.toml:17: playlist[1].series: the library holds no series "没有"; import it with "dalaba import", or check its name`,
		`dalaba.toml:24: playlist[2].order: 不能是“random”；请写成 "shuffle"`,
		`dalaba.toml:24: playlist[2].order: it cannot be "random"; write "shuffle"`,
		"dalaba.toml:29: slot[1].cron: 第 1 项（分）“61”超出范围；请用 0 到 59",
		`dalaba.toml:29: slot[1].cron: field 1 (minute): "61" is out of range; use 0 to 59`,
		"dalaba.toml:34: slot[2].until: 截止时刻 18:00 早于每一次播出；请写当天播出之后的时刻，或删掉 until",
		"dalaba.toml:34: slot[2].until: until 18:00 comes before every airing of the slot; write a time after the airing, or delete until",
	)
}
