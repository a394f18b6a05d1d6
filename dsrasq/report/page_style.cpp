#include "dsrasq/report/page_style.h"

namespace dsrasq::report {

std::string_view page_style() {
  // Neither "<" nor "&": the page must stay XML.
  return R"(:root{color-scheme:light dark;--paper:#fff;--ink:#1d1d1d;--dim:#5c5c5c;--rule:#dcdcdc;
--link:#0067a3;--shade:#f5f5f3}
@media screen and (prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e8e8e8;--dim:#a9adb2;
--rule:#363b41;
--link:#5db8ec;--shade:#1f2226}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:808px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.01em;margin:0 0 8px}
h2{font-size:23px;line-height:1.25;margin:56px 0 8px;padding-top:16px;
border-top:1px solid var(--rule)}
h3{font-size:17px;line-height:1.35;margin:0 0 14px}
p{margin:0 0 12px}
a{color:var(--link)}
.lead,figcaption{color:var(--dim)}
nav ul{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;margin:16px 0 0;padding:0}
figure{margin:32px 0 44px}
figcaption{font-size:14.5px;line-height:1.5;margin:10px 0 8px;max-width:68ch}
svg.plot{display:block;max-width:100%;height:auto;overflow:visible}
svg.narrow{display:none}
details{border-top:1px solid var(--rule);font-size:14px}
details:last-child{border-bottom:1px solid var(--rule)}
summary{cursor:pointer;padding:7px 0;color:var(--link)}
.table{overflow-x:auto;margin:0 0 14px}
table{border-collapse:collapse;font-size:13.5px;line-height:1.4;
font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:5px 18px 5px 0;border-bottom:1px solid var(--rule);
white-space:nowrap}
th{font-weight:600;color:var(--dim);vertical-align:bottom}
.number{text-align:right}
td.long{white-space:normal;min-width:240px;overflow-wrap:anywhere}
pre{background:var(--shade);padding:10px 12px;margin:0 0 14px;font-size:12.5px;line-height:1.5;
white-space:pre-wrap;overflow-wrap:anywhere;border-radius:4px}
.file{font-weight:600;margin:8px 0 6px;overflow-wrap:anywhere}
.missing{background:var(--shade);padding:14px 18px;border-radius:4px;font-size:14.5px}
.missing h3{font-size:15px;margin:0 0 4px}
.missing ul{margin:0;padding-left:20px}
@media (max-width:640px){
main{padding:20px 16px 48px}
h1{font-size:25px}
h2{font-size:20px;margin-top:40px}
svg.wide{display:none}
svg.narrow{display:block}
}
@media print{
:root{--paper:#fff;--ink:#000;--dim:#444;--rule:#bbb;--link:#000;--shade:#f5f5f3}
main{max-width:none;padding:0}
h2{margin-top:28px}
figure{margin:14px 0 22px}
details{border:0}
nav,summary{display:none}
h2{break-after:avoid}
figure{break-inside:avoid}
}
)";
}

}  // namespace dsrasq::report
