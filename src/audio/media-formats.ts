/**
 * What an outside demuxer may open. Playlists (hls, concat, dash) and image sequences are left out on purpose: they
 * name other files and URLs, which a recording from a stranger must not make this machine read.
 */

/** FFmpeg's names of the containers read, for its option `format_whitelist`. */
export const FORMAT_WHITELIST = [
  "aac,ac3,ac4,adx,aea,aiff,amr,amrnb,amrwb,ape,aptx,aptx_hd,asf,ast,au,avi,caf,codec2,dsf,dts,dtshd,eac3,flac,flv",
  "g722,g723_1,g729,gsm,hca,iff,ilbc,kux,loas,matroska,mlp,mmf,mov,mp3,mpc,mpc8,mpeg,mpegts,mtv,mxf,nut,ogg,oma,pva",
  "qcp,rm,sbc,shn,sol,sox,spdif,tak,truehd,tta,voc,vqf,w64,wav,webm,wsaud,wtv,wv,xwma",
].join(",");
