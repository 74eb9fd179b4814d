package ingest_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"dalaba/ingest"
)

func TestNumbersAreReadAsPeopleReadThem(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing to do", "大家好，欢迎收听。", "大家好，欢迎收听。"},
		{"small numbers", "0、5、10、15、20、99", "零、五、十、十五、二十、九十九"},
		{"zeros inside", "101、110人、1001、10010、100100", "一百零一、一百一十人、一千零一、一万零一十、十万零一百"},
		{"large numbers", "2026人，12345678人，100000000人", "两千零二十六人，一千二百三十四万五千六百七十八人，一亿人"},
		{"thousands separated", "1,200元，12,345,678户", "一千二百元，一千二百三十四万五千六百七十八户"},
		{"twenty thousand and ten", "20010", "二万零一十"},
		{"two of something", "2个、2片、第2次、2026年2月2日、12个、22天", "两个、两片、第二次、二零二六年二月二日、十二个、二十二天"},
		{"decimals", "37.5度，0.05，3.14", "三十七点五度，零点零五，三点一四"},
		{"percent", "75%的酒精，99.9%", "百分之七十五的酒精，百分之九十九点九"},
		{"a range of percent", "5%-10%，60~80%", "百分之五到百分之十，百分之六十到八十"},
		{"permille", "3‰", "千分之三"},
		{"ranges", "3-5天，36~37.2℃，1-2次", "三到五天，三十六到三十七点二摄氏度，一到两次"},
		{"ranges with units", "2mg-4mg，5ml~10ml", "两到四毫克，五到十毫升"},
		{"below zero", "-5℃，零下3度，-3~-8℃", "零下五摄氏度，零下三度，零下三到零下八摄氏度"},
		{"negative", "结果是-2", "结果是负二"},
		{"fractions", "1/2片，3/4", "二分之一片，四分之三"},
		{"blood pressure", "血压120/80mmHg，血压是 140/90。", "血压一百二十，八十毫米汞柱，血压是 一百四十，九十。"},
		{"emergency calls", "马上打120，火警119。", "马上打幺二零，火警一百一十九。"},
		{"called and counted", "拨打120急救电话，喝120毫升水", "拨打幺二零急救电话，喝一百二十毫升水"},
		{"two emergency numbers", "拨打110或者119", "拨打幺幺零或者幺幺九"},
		{"hotlines", "12345热线，12320", "幺二三四五热线，幺二三二零"},
		{"a hotline's digits as an amount", "12345人，10000元", "一万两千三百四十五人，一万元"},
		{"mobile and land lines", "电话13800138000，0571-87654321", "电话幺三八零零幺三八零零零，零五七幺，八七六五四三二幺"},
		{"a local number", "联系电话：8765432", "联系电话：八七六五四三二"},
		{"a full date", "2026年11月23日，2026-11-23，2026/1/5", "二零二六年十一月二十三日，二零二六年十一月二十三日，二零二六年一月五日"},
		{"a short date", "11-23开始，11月3日，5月1号", "十一月二十三日开始，十一月三日，五月一号"},
		{"a range that looks like a date", "10-12天，11-23岁", "十到十二天，十一到二十三岁"},
		{"years and spans of years", "2020-2026年，20年，08年5月", "二零二零到二零二六年，二十年，零八年五月"},
		{"times", "7:30、07:05、12:00、2:15、19:30:20", "七点三十分、七点零五分、十二点、两点十五分、十九点三十分二十秒"},
		{"a span of time", "7:30-8:00，8:00~17:30", "七点三十分到八点，八点到十七点三十分"},
		{"a score, not a time", "3:2获胜，1:1", "三比二获胜，一比一"},
		{"units", "5mg、10ml、50kg、170cm、2L、3 km、500g", "五毫克、十毫升、五十公斤、一百七十厘米、两升、三公里、五百克"},
		{"compound units", "60-100次/分，5mg/次，6.1mmol/L，60km/h", "六十到一百次每分，五毫克每次，六点一毫摩尔每升，六十公里每小时"},
		{"full-width digits", "２０２６年，３７．５℃，１０％", "二零二六年，三十七点五摄氏度，百分之十"},
		{"letters with numbers", "N95口罩，H7N9，COVID-19", "N九五口罩，H七N九，COVID 十九"},
		{"comparisons", "体温≥38.5℃，<90%", "体温大于等于三十八点五摄氏度，小于百分之九十"},
		{"signs that are not read", "**注意**：[[x]] #1", "注意：x 一"},
		{"leading zeros", "编号007", "编号零零七"},
	} {
		if got := ingest.Spoken(c.text); got != c.want {
			t.Errorf("%s: %q\n\treads %q\n\twant  %q", c.name, c.text, got, c.want)
		}
	}
}

func FuzzSpoken(f *testing.F) {
	for _, s := range []string{"", "-", "2026-11-23 7:30", "1,200.5mg/次", "血压120/80", "\xff1%", "99999999999999999999", "-3~-8℃", "12:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		said := ingest.Spoken(text)
		if strings.ContainsAny(said, "0123456789") {
			t.Errorf("%q reads %q", text, said)
		}
		if utf8.ValidString(text) && !utf8.ValidString(said) {
			t.Errorf("%q reads %q", text, said)
		}
	})
}
