/**
 * In which script Chinese is written. The model chooses anew in every window, so that a recording may come out in both; readers, and whoever
 * searches the text, want one.
 */

/** Simplified characters and their traditional forms, in pairs: common ones, each of which is of its script alone. */
const PAIRS =
  "们們这這个個国國来來时時说說会會对對过過还還没沒样樣两兩开開关關问問题題间間现現实實经經应應当當动動长長为為从從" +
  "业業东東车車书書买買卖賣见見觉覺观觀视視听聽读讀写寫话話语語认認识識让讓谁誰请請谢謝给給红紅绿綠纸紙级級线線组組" +
  "结結统統终終网網罗羅义義习習乐樂头頭学學历歷压壓厅廳医醫华華单單卫衛发發变變号號吗嗎员員响響团團园園图圖圆圓" +
  "场場块塊坏壞报報声聲处處备備复復够夠妈媽孙孫宝寶宽寬宾賓导導岁歲带帶帮幫师師币幣广廣库庫张張弯彎强強归歸录錄" +
  "忆憶怀懷态態总總恶惡惊驚惯慣愿願战戰户戶执執扩擴护護据據挥揮损損换換数數断斷无無显顯晓曉术術机機杂雜权權极極" +
  "构構标標树樹检檢楼樓欢歡气氣决決济濟浅淺测測浏瀏满滿灭滅灯燈点點热熱爱愛状狀独獨环環电電画畫疗療盘盤确確离離" +
  "种種积積稳穩窗窻笔筆签簽简簡粮糧续續维維绩績编編缩縮职職联聯脑腦脚腳节節艺藝获獲营營虑慮虽雖补補装裝规規览覽" +
  "订訂计計讨討训訓议議记記讲講许許论論设設访訪证證评評译譯试試详詳调調谈談资資质質贵貴费費贸貿赛賽赢贏赵趙跃躍" +
  "转轉轮輪软軟较較辑輯输輸辩辯边邊达達迁遷运運进進远遠违違连連选選递遞邮郵释釋钟鐘钢鋼钱錢银銀错錯键鍵闭閉闻聞" +
  "阶階队隊阳陽阴陰际際陆陸险險随隨难難静靜预預领領频頻颗顆颜顏风風飞飛饭飯馆館马馬验驗鱼魚鸟鳥麦麥黄黃齐齊龙龍";

const SIMPLIFIED = new Set<string>();
const TRADITIONAL = new Set<string>();
for (const [i, character] of [...PAIRS].entries()) (i % 2 === 0 ? SIMPLIFIED : TRADITIONAL).add(character);

export type ChineseScript = "simplified" | "traditional";

/** Languages that are written in either script. */
export const CHINESE: ReadonlySet<string> = new Set(["zh", "yue"]);

/** The script that most of a text's characters are of that have two forms; null where there are none, or as many of each. */
export function chineseScript(text: string): ChineseScript | null {
  let balance = 0;
  for (const character of text) balance += Number(SIMPLIFIED.has(character)) - Number(TRADITIONAL.has(character));
  if (balance === 0) return null;
  return balance > 0 ? "simplified" : "traditional";
}
